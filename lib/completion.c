#include "tailslate/completion.h"

#include "lib/error.h"
#include "lib/hash.h"
#include "lib/message_fields.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((int)TAILSLATE_FINGERPRINT_BYTES == (int)HASH_HEX_BYTES, "SHA-256 in hexadecimal");

static const char *const format_names[] = {[TAILSLATE_FORMAT_ABSENT] = NULL,
                                           [TAILSLATE_FORMAT_CMAF] = "cmaf",
                                           [TAILSLATE_FORMAT_HLS_TS] = "hls_ts"};
static const char *const codec_names[] = {[TAILSLATE_CODEC_ABSENT] = NULL,
                                          [TAILSLATE_CODEC_H264] = "h264",
                                          [TAILSLATE_CODEC_HEVC] = "hevc",
                                          [TAILSLATE_CODEC_AV1] = "av1"};

const char *tailslate_format_name(enum tailslate_format format)
{
    must((size_t)format < COUNT_OF(format_names));
    return format_names[format];
}

const char *tailslate_codec_name(enum tailslate_codec codec)
{
    must((size_t)codec < COUNT_OF(codec_names));
    return codec_names[codec];
}

static bool read_rendition(const struct json *node, void *item, enum tailslate_quality *quality,
                           struct error *err)
{
    struct tailslate_rendition *rendition = item;
    *rendition = (struct tailslate_rendition){.width = TAILSLATE_ABSENT_INT,
                                              .height = TAILSLATE_ABSENT_INT,
                                              .bitrate_kbit = TAILSLATE_ABSENT_INT};
    if (!field_quality(node, "name", &rendition->quality, err) ||
        !field_int(node, "width", 1, TAILSLATE_SIDE_MAX, &rendition->width, err) ||
        !field_int(node, "height", 1, TAILSLATE_SIDE_MAX, &rendition->height, err) ||
        !field_int(node, "bitrate", 0, COLUMN_MAX, &rendition->bitrate_kbit, err))
        return false;
    *quality = rendition->quality;
    if (rendition->width > 0 && rendition->height > 0 && rendition->bitrate_kbit >= 0)
        return true;
    error_set(err, ERROR_PERMANENT, 0, "expected width, height and bitrate");
    return false;
}

static bool read_renditions(const struct json *root, struct tailslate_completion *completion,
                            struct error *err)
{
    if (!field_qualities(root, "qualities", read_rendition, completion->renditions,
                         sizeof completion->renditions[0], &completion->rendition_count, err))
        return false;
    if (json_get(root, "qualities"))
        return true;
    error_set(err, ERROR_PERMANENT, 0, "qualities: missing");
    return false;
}

static bool read_completion(const struct json *root, struct tailslate_completion *completion,
                            struct error *err)
{
    unsigned format = TAILSLATE_FORMAT_ABSENT, codec = TAILSLATE_CODEC_ABSENT;
    bool good =
        read_renditions(root, completion, err) &&
        field_number(root, "duration", 0, &completion->duration, err) &&
        field_int(root, "source_width", 1, TAILSLATE_SIDE_MAX, &completion->source_width, err) &&
        field_int(root, "source_height", 1, TAILSLATE_SIDE_MAX, &completion->source_height, err) &&
        field_enum(root, "streaming_format", format_names, COUNT_OF(format_names), &format, err) &&
        field_enum(root, "streaming_codec", codec_names, COUNT_OF(codec_names), &codec, err);
    warnings_read(json_get(root, "warnings"), &completion->warnings);
    completion->format = (enum tailslate_format)format;
    completion->codec = (enum tailslate_codec)codec;
    return good;
}

static enum tailslate_problem read_token(const struct json *root, int64_t path_job_id,
                                         char token[TAILSLATE_TOKEN_BYTES], struct error *err)
{
    const struct json *member = json_get(root, "completion_token");
    if (!member)
        return TAILSLATE_PROBLEM_NONE;
    const char *text = json_text(member);
    int64_t job_id;
    if (!text || !tailslate_token_parse(text, strlen(text), &job_id, token)) {
        error_set(err, ERROR_PERMANENT, 0, "completion_token: expected <job>-<UUIDv4>");
        return TAILSLATE_PROBLEM_TOKEN_MALFORMED;
    }
    if (job_id != path_job_id) {
        error_set(err, ERROR_PERMANENT, 0,
                  "completion_token: it belongs to job %" PRId64
                  ", but the request is about job %" PRId64,
                  job_id, path_job_id);
        return TAILSLATE_PROBLEM_TOKEN_MISMATCH;
    }
    return TAILSLATE_PROBLEM_NONE;
}

static enum tailslate_problem parse_completion(const char *body, size_t size, int64_t path_job_id,
                                               struct tailslate_completion *completion,
                                               struct error *err)
{
    *completion = (struct tailslate_completion){.duration = TAILSLATE_ABSENT_NUMBER,
                                                .source_width = TAILSLATE_ABSENT_INT,
                                                .source_height = TAILSLATE_ABSENT_INT};
    JSON(root) = NULL;
    enum tailslate_problem problem = message_open(body, size, &root, err);
    if (problem != TAILSLATE_PROBLEM_NONE)
        return problem;
    if (!read_completion(root, completion, err))
        return TAILSLATE_PROBLEM_INVALID_FIELD;
    return read_token(root, path_job_id, completion->token, err);
}

static enum tailslate_problem explain(enum tailslate_problem problem, const struct error *err,
                                      char reason[TAILSLATE_REASON_BYTES])
{
    if (problem != TAILSLATE_PROBLEM_NONE && reason)
        snprintf(reason, TAILSLATE_REASON_BYTES, "%s", err->message);
    return problem;
}

enum tailslate_problem tailslate_completion_parse(const char *body, size_t size,
                                                  int64_t path_job_id,
                                                  struct tailslate_completion *completion,
                                                  char reason[TAILSLATE_REASON_BYTES])
{
    struct error err;
    return explain(parse_completion(body, size, path_job_id, completion, &err), &err, reason);
}

static struct json *new_rendition(const struct tailslate_rendition *rendition)
{
    struct json *node = json_new_object();
    json_set_text(node, "name", tailslate_quality_name(rendition->quality));
    json_set_int(node, "width", rendition->width);
    json_set_int(node, "height", rendition->height);
    json_set_int(node, "bitrate", rendition->bitrate_kbit);
    return node;
}

char *tailslate_completion_format(const struct tailslate_completion *completion)
{
    struct json *root = json_new_object(), *list = json_new_array();
    must(completion->rendition_count <= TAILSLATE_QUALITY_COUNT);
    for (size_t i = 0; i < completion->rendition_count; i++)
        json_append(list, new_rendition(&completion->renditions[i]));
    json_set(root, "qualities", list);
    put_number(root, "duration", completion->duration);
    put_int(root, "source_width", completion->source_width);
    put_int(root, "source_height", completion->source_height);
    put_text(root, "streaming_format", tailslate_format_name(completion->format));
    put_text(root, "streaming_codec", tailslate_codec_name(completion->codec));
    put_text(root, "completion_token", completion->token);
    if (completion->warnings.count > 0)
        json_set(root, "warnings", warnings_new_array(&completion->warnings));
    return message_close(root);
}

static const struct tailslate_rendition *
find_rendition(const struct tailslate_completion *completion, enum tailslate_quality quality)
{
    for (size_t i = 0; i < completion->rendition_count; i++)
        if (completion->renditions[i].quality == quality)
            return &completion->renditions[i];
    return NULL;
}

static void hash_line(struct hash *hash, char *owned_line)
{
    hash_update(hash, owned_line, strlen(owned_line));
    free(owned_line);
}

static const char *or_dash(const char *name)
{
    return name ? name : "-";
}

/* One line per field, each terminated, so that no two completions have the same bytes. Stored as
 * long as the job: any change here turns every replay of an older completion into `token_reused`.
 */
void tailslate_completion_fingerprint(const struct tailslate_completion *completion,
                                      char hex[TAILSLATE_FINGERPRINT_BYTES])
{
    struct hash *hash = hash_new();
    for (enum tailslate_quality quality = 0; quality < TAILSLATE_QUALITY_COUNT; quality++) {
        const struct tailslate_rendition *rendition = find_rendition(completion, quality);
        if (rendition)
            hash_line(hash, must_printf("%s %" PRId64 " %" PRId64 " %" PRId64 "\n",
                                        tailslate_quality_name(quality), rendition->width,
                                        rendition->height, rendition->bitrate_kbit));
    }
    hash_line(hash, must_printf("duration %.6f\n", completion->duration));
    hash_line(hash, must_printf("source %" PRId64 " %" PRId64 "\n", completion->source_width,
                                completion->source_height));
    hash_line(hash,
              must_printf("streaming %s %s\n", or_dash(tailslate_format_name(completion->format)),
                          or_dash(tailslate_codec_name(completion->codec))));
    hash_hex(hash, hex);
    hash_free(hash);
}

tailslate_quality_set tailslate_completion_qualities(const struct tailslate_completion *completion)
{
    tailslate_quality_set set = 0;
    for (size_t i = 0; i < completion->rendition_count; i++)
        set |= 1u << completion->renditions[i].quality;
    return set;
}

/* A token that is not ours is not an acknowledgment. */
static bool read_echoed_token(const struct json *root, char token[TAILSLATE_TOKEN_BYTES],
                              struct error *err)
{
    char text[TAILSLATE_TOKEN_BYTES] = "";
    int64_t job_id;
    if (!field_text(root, "token", text, sizeof text, err))
        return false;
    if (!json_get(root, "token") || tailslate_token_parse(text, strlen(text), &job_id, token))
        return true;
    error_set(err, ERROR_PERMANENT, 0, "token: expected <job>-<UUID>");
    return false;
}

static enum tailslate_problem parse_acknowledgment(const char *body, size_t size,
                                                   struct tailslate_acknowledgment *answer,
                                                   struct error *err)
{
    *answer = (struct tailslate_acknowledgment){.job_id = TAILSLATE_ABSENT_INT};
    JSON(root) = NULL;
    enum tailslate_problem problem = message_open(body, size, &root, err);
    if (problem != TAILSLATE_PROBLEM_NONE)
        return problem;
    const char *status = json_text(json_get(root, "status"));
    const char *message = json_text(json_get(root, "message"));
    answer->status_ok = status && strcmp(status, "ok") == 0;
    text_cut(answer->message, sizeof answer->message, message ? message : "");
    bool good = read_echoed_token(root, answer->token, err) &&
                field_int(root, "job_id", 1, ID_MAX, &answer->job_id, err) &&
                field_bool(root, "replayed", &answer->replayed, err) &&
                field_bool(root, "late", &answer->late, err) &&
                field_text(root, "completed_at", answer->completed_at, sizeof answer->completed_at,
                           err);
    return good ? TAILSLATE_PROBLEM_NONE : TAILSLATE_PROBLEM_INVALID_FIELD;
}

enum tailslate_problem tailslate_acknowledgment_parse(const char *body, size_t size,
                                                      struct tailslate_acknowledgment *answer,
                                                      char reason[TAILSLATE_REASON_BYTES])
{
    struct error err;
    return explain(parse_acknowledgment(body, size, answer, &err), &err, reason);
}

char *tailslate_acknowledgment_format(const struct tailslate_acknowledgment *answer)
{
    struct json *root = json_new_object();
    json_set_text(root, "status", answer->status_ok ? "ok" : "error");
    json_set_text(root, "message", answer->message);
    json_set_filled(root, "token", answer->token);
    put_int(root, "job_id", answer->job_id);
    json_set_filled(root, "completed_at", answer->completed_at);
    json_set_bool(root, "replayed", answer->replayed);
    json_set_bool(root, "late", answer->late);
    return message_close(root);
}
