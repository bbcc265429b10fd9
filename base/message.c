#include "base/message.h"

#include "lib/message_fields.h"

#include <stdlib.h>
#include <string.h>

_Static_assert((int)TAILSLATE_TIME_BYTES == (int)WALL_TEXT_BYTES, "one form of a time");

/* It becomes a file name and part of a path: one component, and not "..". */
static bool is_safe_name(const char *name)
{
    return name[0] != '\0' && !strchr(name, '/') && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

/* What the server calls its video; an unknown quality in the list does not concern us. */
static bool read_existing(const struct json *root, struct message_claim *claim, struct error *err)
{
    const struct json *list;
    if (!field_list(root, "existing_qualities", JSON_MAX_NODES, &list, err))
        return false;
    claim->existing_known = list != NULL;
    for (const struct json *at = json_first(list); at; at = json_next(at)) {
        enum tailslate_quality quality;
        if (json_text(at) && tailslate_quality_parse(json_text(at), &quality))
            claim->existing |= 1u << quality;
    }
    return true;
}

static bool read_names(const struct json *root, struct message_claim *claim, struct error *err)
{
    if (!field_text(root, "video_slug", claim->video_slug, sizeof claim->video_slug, err) ||
        !field_text(root, "source_filename", claim->source_filename, sizeof claim->source_filename,
                    err) ||
        !field_text(root, "claim_expires_at", claim->claim_expires_at,
                    sizeof claim->claim_expires_at, err))
        return false;
    if (is_safe_name(claim->video_slug) &&
        (claim->source_filename[0] == '\0' || is_safe_name(claim->source_filename)))
        return true;
    error_set(err, ERROR_PERMANENT, 0,
              "video_slug, source_filename: a name without a slash expected");
    return false;
}

static bool read_claim(const struct json *root, struct message_claim *claim, struct error *err)
{
    if (!field_int(root, "job_id", 1, ID_MAX, &claim->job_id, err))
        return false;
    if (claim->job_id == 0)
        return true;
    if (!field_int(root, "video_id", 1, ID_MAX, &claim->video_id, err))
        return false;
    if (claim->video_id == 0) {
        error_set(err, ERROR_PERMANENT, 0, "video_id: missing (there is a job_id)");
        return false;
    }
    return read_names(root, claim, err) && read_existing(root, claim, err) &&
           field_number(root, "video_duration", 0, &claim->duration, err) &&
           field_int(root, "source_width", 0, TAILSLATE_SIDE_MAX, &claim->source_width, err) &&
           field_int(root, "source_height", 0, TAILSLATE_SIDE_MAX, &claim->source_height, err) &&
           field_int(root, "claim_epoch", 0, ID_MAX, &claim->claim_epoch, err) &&
           field_int(root, "attempt_number", 0, ID_MAX, &claim->attempt_number, err);
}

enum tailslate_problem message_claim_parse(const char *body, size_t size,
                                           struct message_claim *claim, struct error *err)
{
    *claim = (struct message_claim){.duration = TAILSLATE_ABSENT_NUMBER,
                                    .source_width = TAILSLATE_ABSENT_INT,
                                    .source_height = TAILSLATE_ABSENT_INT,
                                    .claim_epoch = TAILSLATE_ABSENT_INT,
                                    .attempt_number = TAILSLATE_ABSENT_INT};
    JSON(root) = NULL;
    enum tailslate_problem problem = message_open(body, size, &root, err);
    if (problem != TAILSLATE_PROBLEM_NONE)
        return problem;
    return read_claim(root, claim, err) ? TAILSLATE_PROBLEM_NONE : TAILSLATE_PROBLEM_INVALID_FIELD;
}

/* A stock worker requires every member: set them to null first. */
static struct json *new_empty_claim(void)
{
    static const char *const keys[] = {"job_id",          "video_id",         "video_slug",
                                       "video_duration",  "source_width",     "source_height",
                                       "source_filename", "claim_expires_at", "existing_qualities",
                                       "claim_epoch",     "attempt_number"};
    struct json *root = json_new_object();
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        json_set(root, keys[i], NULL);
    return root;
}

char *message_claim_format(const struct message_claim *claim, const char *message)
{
    struct json *root = new_empty_claim();
    if (claim->job_id > 0) {
        put_int(root, "job_id", claim->job_id);
        put_int(root, "video_id", claim->video_id);
        put_text(root, "video_slug", claim->video_slug);
        put_number(root, "video_duration", claim->duration);
        put_int(root, "source_width", claim->source_width);
        put_int(root, "source_height", claim->source_height);
        put_text(root, "source_filename", claim->source_filename);
        put_text(root, "claim_expires_at", claim->claim_expires_at);
        if (claim->existing_known)
            put_qualities(root, "existing_qualities", claim->existing);
        put_int(root, "claim_epoch", claim->claim_epoch);
        put_int(root, "attempt_number", claim->attempt_number);
    }
    json_set_text(root, "message", message ? message : "");
    return message_close(root);
}

/* Characters, which is how a stock worker truncates its message. */
static size_t count_characters(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

enum tailslate_problem message_failure_parse(const char *body, size_t size,
                                             struct message_failure *failure, struct error *err)
{
    *failure = (struct message_failure){.retry = true};
    JSON(root) = NULL;
    enum tailslate_problem problem = message_open(body, size, &root, err);
    if (problem != TAILSLATE_PROBLEM_NONE)
        return problem;
    const char *reason = json_text(json_get(root, "error_message"));
    if (!reason || count_characters(reason) >= REASON_BYTES) {
        error_set(err, ERROR_PERMANENT, 0,
                  "error_message: a string of at most %d characters expected", REASON_BYTES - 1);
        return TAILSLATE_PROBLEM_INVALID_FIELD;
    }
    text_cut(failure->reason, sizeof failure->reason, reason);
    return field_bool(root, "retry", &failure->retry, err) ? TAILSLATE_PROBLEM_NONE
                                                           : TAILSLATE_PROBLEM_INVALID_FIELD;
}

char *message_failure_format(const struct message_failure *failure)
{
    char reason[REASON_BYTES];
    text_cut(reason, sizeof reason, failure->reason);
    struct json *root = json_new_object();
    json_set_text(root, "error_message", reason);
    json_set_bool(root, "retry", failure->retry);
    return message_close(root);
}

char *message_failure_answer_format(bool will_retry, int64_t attempt_number)
{
    struct json *root = json_new_object();
    json_set_text(root, "status", "ok");
    json_set_bool(root, "will_retry", will_retry);
    json_set_int(root, "attempt_number", attempt_number > 0 ? attempt_number : 0);
    return message_close(root);
}
