#include "agent/step/command.h"

#include "agent/step/fetch.h"
#include "lib/cleanup.h"
#include "lib/durable.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* ---- before ---------------------------------------------------------------------------------- */

static void existing_names(tailslate_quality_set existing, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (enum tailslate_quality quality = 0; quality < TAILSLATE_QUALITY_COUNT; quality++)
        if (existing & 1u << quality)
            used += (size_t)snprintf(text + used, size - used, "%s%s", used ? "," : "",
                                     tailslate_quality_name(quality));
}

static int absolute_path(int dir, char path[PATH_MAX], struct error *err)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
    ssize_t size = readlink(link, path, PATH_MAX - 1);
    if (size < 0)
        return error_errno(err, "cannot read the record's path");
    path[size] = '\0';
    return 0;
}

static void push_variable(struct argv *environment, const struct argv_value *value)
{
    char name[32];
    size_t i = 0;
    for (; i < sizeof name - 1 && value->name[i]; i++)
        name[i] = (char)toupper((unsigned char)value->name[i]);
    name[i] = '\0';
    argv_push(environment, "TAILSLATE_%s=%s", name, value->text);
}

static int fill(const struct session *session, const struct argv_value values[COMMAND_VALUES],
                struct command *command, struct error *err)
{
    for (size_t i = 0; i < COMMAND_VALUES; i++)
        push_variable(&command->environment, &values[i]);
    if (argv_fill(&command->argv, session->config->transcode.command, values, COMMAND_VALUES,
                  err) == 0)
        return 0;
    command_fini(command);
    err->class = ERROR_TEMPORARY; /* a fault of this node's configuration, not of the video */
    return error_wrap(err, "transcode.command");
}

int command_prepare(struct session *session, const struct probe *source, struct command *command,
                    struct error *err)
{
    const struct message_claim *claim = &session->claim.claim;
    char record[PATH_MAX], job[32], video[32], width[32], height[32], duration[32], existing[80];
    *command = (struct command){.argv = {0}};
    if (absolute_path(session->dir, record, err) < 0)
        return -1;
    TEXT(source_path) = must_printf("%s/%s", record, FETCH_SOURCE);
    TEXT(output_path) = must_printf("%s/%s", record, RECORD_OUTPUT);
    snprintf(job, sizeof job, "%lld", (long long)claim->job_id);
    snprintf(video, sizeof video, "%lld", (long long)claim->video_id);
    snprintf(width, sizeof width, "%lld", (long long)source->width);
    snprintf(height, sizeof height, "%lld", (long long)source->height);
    snprintf(duration, sizeof duration, "%.3f", source->duration_s);
    existing_names(claim->existing_known ? claim->existing : 0, existing, sizeof existing);
    const struct argv_value values[COMMAND_VALUES] = {
        {"source", source_path}, {"output", output_path},     {"job_id", job},
        {"video_id", video},     {"slug", claim->video_slug}, {"width", width},
        {"height", height},      {"duration", duration},      {"existing", existing},
    };
    return fill(session, values, command, err);
}

void command_fini(struct command *command)
{
    argv_fini(&command->argv);
    argv_fini(&command->environment);
}

/* ---- afterwards ------------------------------------------------------------------------------ */

static int read_result(int output, struct tailslate_completion *result, struct error *err)
{
    TEXT(text) = NULL;
    size_t size;
    *result = (struct tailslate_completion){.rendition_count = 0};
    if (durable_read(output, COMMAND_RESULT, COMMAND_RESULT_MAX_BYTES, &text, &size, err) < 0)
        return err->code == ENOENT ? 0 : -1;
    *err = (struct error){.class = ERROR_TEMPORARY};
    if (tailslate_completion_parse(text, size, 0, result, err->message) == TAILSLATE_PROBLEM_NONE)
        return 0;
    return error_wrap(err, COMMAND_RESULT);
}

/* The files are compared with what they state themselves; result.json adds what no file states. */
static int add_rendition(struct session *session, enum tailslate_quality quality,
                         const struct tailslate_completion *result, struct ladder *ladder,
                         struct error *err)
{
    TEXT(path) = must_printf("%s/%s/%s", RECORD_OUTPUT, tailslate_quality_name(quality),
                             LADDER_PLAYLIST);
    struct probe probe;
    if (probe_playlist(session, path, &probe, err) < 0)
        return -1;
    struct ladder_rendition *rendition = &ladder->renditions[ladder->count++];
    *rendition = (struct ladder_rendition){
        .quality = quality,
        .width = probe.coded_width,
        .height = probe.coded_height,
        .bitrate_kbit = tailslate_quality_bitrate_kbit(quality),
    };
    ladder->made |= 1u << quality;
    for (size_t i = 0; i < result->rendition_count; i++)
        if (result->renditions[i].quality == quality)
            rendition->bitrate_kbit = result->renditions[i].bitrate_kbit;
    return 0;
}

int command_discover(struct session *session, int output, struct ladder *ladder,
                     struct tailslate_completion *result, struct error *err)
{
    *ladder = (struct ladder){.count = 0};
    if (read_result(output, result, err) < 0)
        return -1;
    tailslate_quality_set promised = tailslate_completion_qualities(result);
    for (enum tailslate_quality quality = 0; quality < TAILSLATE_QUALITY_COUNT; quality++) {
        bool is_there = durable_exists(output, tailslate_quality_name(quality));
        if (!is_there && (promised & 1u << quality))
            return error_set(err, ERROR_TEMPORARY, 0,
                             "the command announced %s but did not make it",
                             tailslate_quality_name(quality));
        if (is_there && add_rendition(session, quality, result, ladder, err) < 0)
            return -1;
    }
    if (ladder->count == 0)
        return error_set(err, ERROR_TEMPORARY, 0, "the command made no rendition");
    return 0;
}
