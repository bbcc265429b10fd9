#include "tailslate/completion.h"

#include "lib/error.h"
#include "lib/hash.h"
#include "lib/message_fields.h"
#include "lib/warnings_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((int)FINGERPRINT_BYTES == (int)HASH_HEX_BYTES, "SHA-256 in hexadecimal");

static const char *const format_names[] = {
    [FORMAT_ABSENT] = NULL, [FORMAT_CMAF] = "cmaf", [FORMAT_HLS_TS] = "hls_ts"};
static const char *const codec_names[] = {
    [CODEC_ABSENT] = NULL, [CODEC_H264] = "h264", [CODEC_HEVC] = "hevc", [CODEC_AV1] = "av1"};

const char *streaming_format_name(enum streaming_format format)
{
    must((size_t)format < COUNT_OF(format_names));
    return format_names[format];
}

const char *streaming_codec_name(enum streaming_codec codec)
{
    must((size_t)codec < COUNT_OF(codec_names));
    return codec_names[codec];
}

static bool read_rendition(const struct json *node, struct message_rendition *rendition,
                           struct error *err)
{
    *rendition = (struct message_rendition){
        .width = ABSENT_INT, .height = ABSENT_INT, .bitrate_kbit = ABSENT_INT};
    if (!field_quality(node, "name", &rendition->quality, err) ||
        !field_int(node, "width", 1, SIDE_MAX, &rendition->width, err) ||
        !field_int(node, "height", 1, SIDE_MAX, &rendition->height, err) ||
        !field_int(node, "bitrate", 0, COLUMN_MAX, &rendition->bitrate_kbit, err))
        return false;
    if (rendition->width > 0 && rendition->height > 0 && rendition->bitrate_kbit >= 0)
        return true;
    error_set(err, ERROR_PERMANENT, 0, "width, height and bitrate expected");
    return false;
}

static bool read_renditions(const struct json *root, struct message_completion *completion,
                            struct error *err)
{
    const struct json *list;
    if (!field_list(root, "qualities", QUALITY_COUNT, &list, err))
        return false;
    if (!list) {
        error_set(err, ERROR_PERMANENT, 0, "qualities: missing");
        return false;
    }
    quality_set seen = 0;
    for (const struct json *at = json_first(list); at; at = json_next(at)) {
        struct message_rendition *rendition = &completion->renditions[completion->rendition_count];
        if (!read_rendition(at, rendition, err)) {
            error_wrap(err, "qualities[%zu]", completion->rendition_count);
            return false;
        }
        if (seen & (1u << rendition->quality)) {
            error_set(err, ERROR_PERMANENT, 0, "qualities: %s is there twice",
                      quality_name(rendition->quality));
            return false;
        }
        seen |= 1u << rendition->quality;
        completion->rendition_count++;
    }
    return true;
}

static bool read_completion(const struct json *root, struct message_completion *completion,
                            struct error *err)
{
    unsigned format = FORMAT_ABSENT, codec = CODEC_ABSENT;
    bool good =
        read_renditions(root, completion, err) &&
        field_number(root, "duration", 0, &completion->duration, err) &&
        field_int(root, "source_width", 1, SIDE_MAX, &completion->source_width, err) &&
        field_int(root, "source_height", 1, SIDE_MAX, &completion->source_height, err) &&
        field_word(root, "streaming_format", format_names, COUNT_OF(format_names), &format, err) &&
        field_word(root, "streaming_codec", codec_names, COUNT_OF(codec_names), &codec, err);
    warnings_read(json_get(root, "warnings"), &completion->warnings);
    completion->format = (enum streaming_format)format;
    completion->codec = (enum streaming_codec)codec;
    return good;
}

static enum problem read_token(const struct json *root, int64_t path_job_id,
                               char token[TOKEN_BYTES], struct error *err)
{
    const struct json *member = json_get(root, "completion_token");
    if (!member)
        return PROBLEM_NONE;
    const char *text = json_text(member);
    int64_t job_id;
    if (!text || !token_parse(text, strlen(text), &job_id, token)) {
        error_set(err, ERROR_PERMANENT, 0, "completion_token: <job>-<UUIDv4> expected");
        return PROBLEM_TOKEN_MALFORMED;
    }
    if (job_id != path_job_id) {
        error_set(err, ERROR_PERMANENT, 0,
                  "completion_token: it is of job %" PRId64 ", the call is about job %" PRId64,
                  job_id, path_job_id);
        return PROBLEM_TOKEN_MISMATCH;
    }
    return PROBLEM_NONE;
}

static enum problem parse_completion(const char *body, size_t size, int64_t path_job_id,
                                     struct message_completion *completion, struct error *err)
{
    *completion = (struct message_completion){
        .duration = ABSENT_NUMBER, .source_width = ABSENT_INT, .source_height = ABSENT_INT};
    JSON(root) = NULL;
    enum problem problem = message_open(body, size, &root, err);
    if (problem != PROBLEM_NONE)
        return problem;
    if (!read_completion(root, completion, err))
        return PROBLEM_INVALID_FIELD;
    return read_token(root, path_job_id, completion->token, err);
}

static enum problem explain(enum problem problem, const struct error *err,
                            char reason[COMPLETION_REASON_BYTES])
{
    if (problem != PROBLEM_NONE && reason)
        snprintf(reason, COMPLETION_REASON_BYTES, "%s", err->message);
    return problem;
}

enum problem message_completion_parse(const char *body, size_t size, int64_t path_job_id,
                                      struct message_completion *completion,
                                      char reason[COMPLETION_REASON_BYTES])
{
    struct error err;
    return explain(parse_completion(body, size, path_job_id, completion, &err), &err, reason);
}

static struct json *new_rendition(const struct message_rendition *rendition)
{
    struct json *node = json_new_object();
    json_set_text(node, "name", quality_name(rendition->quality));
    json_set_int(node, "width", rendition->width);
    json_set_int(node, "height", rendition->height);
    json_set_int(node, "bitrate", rendition->bitrate_kbit);
    return node;
}

char *message_completion_format(const struct message_completion *completion)
{
    struct json *root = json_new_object(), *list = json_new_array();
    must(completion->rendition_count <= QUALITY_COUNT);
    for (size_t i = 0; i < completion->rendition_count; i++)
        json_append(list, new_rendition(&completion->renditions[i]));
    json_set(root, "qualities", list);
    put_number(root, "duration", completion->duration);
    put_int(root, "source_width", completion->source_width);
    put_int(root, "source_height", completion->source_height);
    put_text(root, "streaming_format", streaming_format_name(completion->format));
    put_text(root, "streaming_codec", streaming_codec_name(completion->codec));
    put_text(root, "completion_token", completion->token);
    if (completion->warnings.count > 0)
        json_set(root, "warnings", warnings_new_array(&completion->warnings));
    return message_close(root);
}

static const struct message_rendition *find_rendition(const struct message_completion *completion,
                                                      enum quality quality)
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

/* One line a field, each ended, so that no two completions have the same bytes. Stored for as long
 * as the job: what is changed here makes every replay of an older completion a `token_reused`. */
void message_completion_fingerprint(const struct message_completion *completion,
                                    char hex[FINGERPRINT_BYTES])
{
    struct hash *hash = hash_new();
    for (enum quality quality = 0; quality < QUALITY_COUNT; quality++) {
        const struct message_rendition *rendition = find_rendition(completion, quality);
        if (rendition)
            hash_line(hash,
                      must_printf("%s %" PRId64 " %" PRId64 " %" PRId64 "\n", quality_name(quality),
                                  rendition->width, rendition->height, rendition->bitrate_kbit));
    }
    hash_line(hash, must_printf("duration %.6f\n", completion->duration));
    hash_line(hash, must_printf("source %" PRId64 " %" PRId64 "\n", completion->source_width,
                                completion->source_height));
    hash_line(hash,
              must_printf("streaming %s %s\n", or_dash(streaming_format_name(completion->format)),
                          or_dash(streaming_codec_name(completion->codec))));
    hash_hex(hash, hex);
    hash_free(hash);
}

quality_set message_completion_qualities(const struct message_completion *completion)
{
    quality_set set = 0;
    for (size_t i = 0; i < completion->rendition_count; i++)
        set |= 1u << completion->renditions[i].quality;
    return set;
}

/* A token that is there and is none of ours makes no acknowledgement. */
static bool read_echoed_token(const struct json *root, char token[TOKEN_BYTES], struct error *err)
{
    char text[TOKEN_BYTES] = "";
    int64_t job_id;
    if (!field_text(root, "token", text, sizeof text, err))
        return false;
    if (!json_get(root, "token") || token_parse(text, strlen(text), &job_id, token))
        return true;
    error_set(err, ERROR_PERMANENT, 0, "token: <job>-<UUID> expected");
    return false;
}

static enum problem parse_acknowledgement(const char *body, size_t size,
                                          struct message_acknowledgement *answer, struct error *err)
{
    *answer = (struct message_acknowledgement){.job_id = ABSENT_INT};
    JSON(root) = NULL;
    enum problem problem = message_open(body, size, &root, err);
    if (problem != PROBLEM_NONE)
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
    return good ? PROBLEM_NONE : PROBLEM_INVALID_FIELD;
}

enum problem message_acknowledgement_parse(const char *body, size_t size,
                                           struct message_acknowledgement *answer,
                                           char reason[COMPLETION_REASON_BYTES])
{
    struct error err;
    return explain(parse_acknowledgement(body, size, answer, &err), &err, reason);
}

char *message_acknowledgement_format(const struct message_acknowledgement *answer)
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
