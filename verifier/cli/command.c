#include "verifier/cli/command.h"

#include "lib/cleanup.h"
#include "verifier/db/db.h"
#include "verifier/files/files_check.h"
#include "verifier/http/directories.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int missing(void *ctx, const char *slug, tailslate_quality_set named,
                   tailslate_quality_set *absent, struct error *err)
{
    return files_missing(ctx, slug, named, absent, err);
}

static int discard(void *ctx, const char *slug, tailslate_quality_set discarded, struct error *err)
{
    return files_discard(ctx, slug, discarded, err);
}

static void source_name(void *ctx, int64_t video_id, char name[FILENAME_BYTES])
{
    files_source_name(ctx, video_id, name);
}

static int find_source(void *ctx, int64_t video_id, struct error *err)
{
    FD(fd) = files_open_source(ctx, video_id, err);
    return fd < 0 ? -1 : 0;
}

static bool directory_exists(void *ctx, const char *slug)
{
    return files_video_exists(ctx, slug);
}

/* The output first: what is left behind by a failure is then found again by the video's number. */
static int remove_video(void *ctx, int64_t video_id, const char *slug, struct error *err)
{
    if (files_discard_video(ctx, slug, err) != 0)
        return -1;
    return files_discard_source(ctx, video_id, err);
}

static unsigned events_of(const struct verifier_config *config)
{
    const char *events = config->webhook.events;
    if (!config->webhook.url[0])
        return 0;
    return strcmp(events, "ready") == 0    ? STORE_EVENT_READY
           : strcmp(events, "failed") == 0 ? STORE_EVENT_FAILED
                                           : STORE_EVENT_READY | STORE_EVENT_FAILED;
}

struct store_settings context_store_settings(const struct verifier_config *config)
{
    enum { MINUTE_MS = 60 * 1000 };
    return (struct store_settings){
        .url = config->store.url,
        .password_file = config->store.password_file,
        .schema = strcmp(config->store.schema, "vlog") == 0 ? STORE_SCHEMA_VLOG : STORE_SCHEMA_OWN,
        .claim_ms = (int64_t)(config->claims.duration_minutes * MINUTE_MS),
        .offline_ms = (int64_t)(config->workers.offline_minutes * MINUTE_MS),
        .required_version = config->workers.required_version,
        .grace_ms = (int64_t)(config->sweeper.grace_seconds * 1000),
        .monitored = verifier_config_sweeps(config),
        .retry_delay_ms = (int64_t)(config->claims.retry_delay_seconds * 1000),
        .events = events_of(config),
    };
}

int context_open(const struct verifier_config *config, bool may_come_later, struct context *context,
                 struct error *err)
{
    *context = (struct context){.config = config};
    if (files_open(config->files.uploads_dir, config->files.videos_dir, &context->files, err) != 0)
        return -1;
    struct store_settings settings = context_store_settings(config);
    settings.may_come_later = may_come_later;
    settings.files = (struct store_files){.ctx = &context->files,
                                          .missing = missing,
                                          .discard = discard,
                                          .source_name = source_name,
                                          .directory_exists = directory_exists,
                                          .remove = remove_video,
                                          .find_source = find_source};
    context->store = store_open(&settings, err);
    if (!context->store) {
        files_close(&context->files);
        return error_wrap(err, "store.url");
    }
    directories_check(context->store, &context->files);
    return 0;
}

static bool is_closed_to_us(const char *path)
{
    return access(path, R_OK | W_OK | X_OK) != 0 && errno == EACCES;
}

/* Another user than the service's cannot tell what is wrong with them. */
static void compare_directories(const struct verifier_config *config, struct context *context)
{
    struct error err;
    const char *uploads = config->files.uploads_dir, *videos = config->files.videos_dir;
    if (is_closed_to_us(uploads) || is_closed_to_us(videos))
        return;
    if (files_open(uploads, videos, &context->files, &err) == 0)
        directories_compare(context->store, &context->files);
    else
        snprintf(context->files_reason, FILES_REASON_BYTES, "%s", err.message);
}

int context_open_reading(const struct verifier_config *config, struct context *context,
                         struct error *err)
{
    struct store_settings settings = context_store_settings(config);
    settings.reads = true;
    *context = (struct context){.config = config, .files = {-1, -1, NULL}};
    context->store = store_open(&settings, err);
    if (!context->store)
        return error_wrap(err, "store.url");
    compare_directories(config, context);
    return 0;
}

bool context_files_problem(const struct context *context, char reason[FILES_REASON_BYTES])
{
    if (context->files.watch)
        return files_problem(&context->files, reason);
    snprintf(reason, FILES_REASON_BYTES, "%s", context->files_reason);
    return reason[0] != '\0';
}

void context_print_remedies(const struct verifier_config *config, FILE *out)
{
    struct store_settings settings = context_store_settings(config);
    store_print_remedies(&settings, out);
}

void context_close(struct context *context)
{
    store_close(context->store);
    if (context->files.watch)
        files_close(&context->files);
}

int command_failed(const struct error *err)
{
    fprintf(stderr, "tailslate-verifier: %s\n", err->message);
    return error_exit_status(err);
}

/* Distinguishes a wrong argument from a problem of the configuration or the machine. */
static int status_of(const struct error *err)
{
    int status = command_failed(err);
    if (err->code == ENOENT)
        return STATUS_NO_INPUT;
    return err->code == EINVAL || err->code == DB_CONFLICT ? STATUS_DATA : status;
}

static int act(struct context *context, const struct command *command, command_action *action)
{
    struct error err;
    int result = action(context, command, &err);
    context_close(context);
    return result == 0 ? STATUS_OK : status_of(&err);
}

int command_with_context(const struct verifier_config *config, const struct command *command,
                         command_action *action)
{
    struct context context;
    struct error err;
    if (context_open(config, false, &context, &err) != 0)
        return command_failed(&err);
    return act(&context, command, action);
}

int command_reading(const struct verifier_config *config, const struct command *command,
                    command_action *action)
{
    struct context context;
    struct error err;
    if (context_open_reading(config, &context, &err) != 0)
        return command_failed(&err);
    return act(&context, command, action);
}
