#include "agent/spool/record.h"

#include "lib/cleanup.h"
#include "lib/durable.h"
#include "lib/json.h"
#include "lib/message_fields.h"
#include "lib/uuid.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { LOST_DETAIL_BYTES = 256 };

static const char *const file_names[JOB_FILE_COUNT] = {
    [JOB_FILE_CLAIM] = "claim.json",
    [JOB_FILE_OUTCOME] = "outcome.json",
    [JOB_FILE_COMPLETION] = "completion.json",
    [JOB_FILE_MISSING] = "missing.json",
    [JOB_FILE_FAILURE] = "failure.json",
    [JOB_FILE_LOST] = "lost.json",
    [JOB_FILE_ACKNOWLEDGEMENT] = "acknowledgement.json",
};
#define PROGRESS_NAME "progress.json"

int record_state(int dir, enum job_state *state, struct error *err)
{
    unsigned files = 0;
    for (unsigned file = 0; file < JOB_FILE_COUNT; file++) {
        struct stat status;
        if (fstatat(dir, file_names[file], &status, AT_SYMLINK_NOFOLLOW) == 0)
            files |= 1u << file;
        else if (errno !=
                 ENOENT) /* a file that cannot be checked is not absent: it could be the outcome */
            return error_errno(err, "%s", file_names[file]);
    }
    *state = job_state_of(files);
    if (*state == JOB_WRONG)
        return error_set(err, ERROR_PERMANENT, EBADMSG,
                         "its files (set 0x%02x) do not match any job state", files);
    return 0;
}

/* An event that may not happen here is a bug that could break a promise: stop before writing. */
static int allow(int dir, enum job_event event, struct error *err)
{
    enum job_state state;
    if (record_state(dir, &state, err) != 0)
        return -1;
    must(job_next(state, event) != JOB_WRONG);
    return 0;
}

static int write_file(int dir, enum job_file file, const char *text, struct error *err)
{
    return durable_write(dir, file_names[file], text, strlen(text), err);
}

static int read_file(int dir, enum job_file file, char **text, size_t *size, struct error *err)
{
    return durable_read(dir, file_names[file], RECORD_FILE_MAX_BYTES, text, size, err);
}

/* NULL: err is filled. */
static struct json *read_object(int dir, const char *name, struct error *err)
{
    TEXT(text) = NULL;
    size_t size;
    if (durable_read(dir, name, RECORD_FILE_MAX_BYTES, &text, &size, err) != 0)
        return NULL;
    struct json *root = json_parse(text, size, err);
    if (root && json_is_object(root))
        return root;
    if (root)
        error_set(err, ERROR_PERMANENT, EBADMSG, "is not an object");
    json_free(root);
    error_wrap(err, "%s", name);
    err->class = ERROR_PERMANENT;
    return NULL;
}

static int malformed(const char *name, const char *what, struct error *err)
{
    return error_set(err, ERROR_PERMANENT, EBADMSG, "%s: %s", name, what);
}

/* A message inside a file, as the text that its own parser accepts. */
static char *print_member(const struct json *root, const char *key)
{
    const struct json *member = json_get(root, key);
    return member ? json_print(member) : must_strdup("");
}

static void set_message(struct json *root, const char *key, char *owned_text)
{
    TEXT(text) = owned_text;
    struct error err;
    struct json *message = json_parse(text, strlen(text), &err);
    must(message); /* made by our own formatter */
    json_set(root, key, message);
}

void record_claim_accept(const struct message_claim *given, struct record_claim *claim)
{
    char uuid[TAILSLATE_UUID_BYTES];
    *claim = (struct record_claim){.claim = *given, .claimed_at_us = wall_us()};
    uuid_make_v4(uuid);
    tailslate_token_make(given->job_id, uuid, claim->token);
}

static char *format_claim(const struct record_claim *claim)
{
    char claimed_at[WALL_TEXT_BYTES];
    wall_format(claim->claimed_at_us, claimed_at);
    JSON(root) = json_new_object();
    json_set_text(root, "token", claim->token);
    json_set_text(root, "claimed_at", claimed_at);
    set_message(root, "claim", message_claim_format(&claim->claim, "recorded"));
    return json_print(root);
}

int record_write_claim(int dir, const struct record_claim *claim, struct error *err)
{
    TEXT(text) = format_claim(claim);
    return write_file(dir, JOB_FILE_CLAIM, text, err);
}

static int parse_claim(const struct json *root, struct record_claim *claim, struct error *err)
{
    const char *name = file_names[JOB_FILE_CLAIM];
    TEXT(message) = print_member(root, "claim");
    if (message_claim_parse(message, strlen(message), &claim->claim, err) !=
            TAILSLATE_PROBLEM_NONE ||
        claim->claim.job_id <= 0) {
        malformed(name, "member `claim` is not a job's claim", err);
        return -1;
    }
    const char *token, *claimed_at;
    int64_t token_job;
    if (json_get_text(root, "token", TAILSLATE_TOKEN_BYTES - 1, &token) != JSON_FOUND ||
        !tailslate_token_parse(token, strlen(token), &token_job, claim->token) ||
        token_job != claim->claim.job_id)
        return malformed(name, "member `token` is not a token of this job", err);
    if (json_get_text(root, "claimed_at", WALL_TEXT_BYTES - 1, &claimed_at) != JSON_FOUND ||
        !wall_parse(claimed_at, &claim->claimed_at_us))
        return malformed(name, "member `claimed_at` is not a time", err);
    return 0;
}

int record_read_claim(int dir, struct record_claim *claim, struct error *err)
{
    JSON(root) = read_object(dir, file_names[JOB_FILE_CLAIM], err);
    struct record_claim read = {0};
    if (!root || parse_claim(root, &read, err) != 0)
        return -1;
    *claim = read;
    return 0;
}

int record_commit_outcome(int dir, const struct record_outcome *outcome, struct error *err)
{
    if (allow(dir, JOB_OUTCOME_RECORDED, err) != 0)
        return -1;
    struct tailslate_completion completion = outcome->completion;
    completion.token[0] = '\0'; /* the token is the claim's, also if the claim is replaced later */
    JSON(root) = json_new_object();
    set_message(root, "completion", tailslate_completion_format(&completion));
    json_set_int(root, "transcode_ms", outcome->transcode_ms);
    TEXT(text) = json_print(root);
    return write_file(dir, JOB_FILE_OUTCOME, text, err);
}

int record_read_outcome(int dir, struct record_outcome *outcome, struct error *err)
{
    const char *name = file_names[JOB_FILE_OUTCOME];
    JSON(root) = read_object(dir, name, err);
    if (!root)
        return -1;
    struct record_outcome read = {0};
    struct error why;
    TEXT(message) = print_member(root, "completion");
    if (tailslate_completion_parse(message, strlen(message), 1, &read.completion, why.message) !=
            TAILSLATE_PROBLEM_NONE ||
        read.completion.token[0])
        return malformed(name, "member `completion` is not a completion without a token", err);
    if (json_get_int(root, "transcode_ms", 0, INT64_MAX, &read.transcode_ms) != JSON_FOUND)
        return malformed(name, "member `transcode_ms` is not a duration", err);
    *outcome = read;
    return 0;
}

/* The bytes depend only on outcome and claim. */
static char *make_completion(int dir, const char token[TAILSLATE_TOKEN_BYTES], struct error *err)
{
    struct record_outcome outcome;
    if (record_read_outcome(dir, &outcome, err) != 0)
        return NULL;
    memcpy(outcome.completion.token, token, TAILSLATE_TOKEN_BYTES);
    return tailslate_completion_format(&outcome.completion);
}

int record_read_tokenless(int dir, char **body, struct error *err)
{
    static const char none[TAILSLATE_TOKEN_BYTES];
    *body = make_completion(dir, none, err);
    return *body ? 0 : -1;
}

static int write_completion(int dir, struct error *err)
{
    struct record_claim claim;
    if (record_read_claim(dir, &claim, err) != 0)
        return -1;
    TEXT(body) = make_completion(dir, claim.token, err);
    return body ? write_file(dir, JOB_FILE_COMPLETION, body, err) : -1;
}

int record_seal_completion(int dir, struct error *err)
{
    return allow(dir, JOB_COMPLETION_SEALED, err) == 0 ? write_completion(dir, err) : -1;
}

int record_seal_failure(int dir, const struct message_failure *failure, struct error *err)
{
    if (allow(dir, JOB_FAILURE_SEALED, err) != 0)
        return -1;
    TEXT(body) = message_failure_format(failure);
    return write_file(dir, JOB_FILE_FAILURE, body, err);
}

int record_mark_missing(int dir, tailslate_quality_set missing, struct error *err)
{
    if (allow(dir, JOB_OUTPUT_MISSING, err) != 0)
        return -1;
    JSON(root) = json_new_object();
    struct json *names = json_new_array();
    for (enum tailslate_quality quality = 0; quality < TAILSLATE_QUALITY_COUNT; quality++)
        if (missing & (1u << quality))
            json_append_text(names, tailslate_quality_name(quality));
    json_set(root, "qualities", names);
    TEXT(text) = json_print(root);
    return write_file(dir, JOB_FILE_MISSING, text, err);
}

int record_read_missing(int dir, tailslate_quality_set *missing, struct error *err)
{
    const char *name = file_names[JOB_FILE_MISSING];
    JSON(root) = read_object(dir, name, err);
    if (!root)
        return -1;
    const struct json *names = json_get(root, "qualities");
    if (!json_is_array(names))
        return malformed(name, "member `qualities` is not a list", err);
    tailslate_quality_set read = 0;
    for (int i = 0; i < json_count(names); i++) {
        const char *text = json_text(json_at(names, i));
        enum tailslate_quality quality;
        if (!text || !tailslate_quality_parse(text, &quality))
            return malformed(name, "member `qualities` has an unknown quality", err);
        read |= 1u << quality;
    }
    *missing = read;
    return 0;
}

int record_clear_missing(int dir, struct error *err)
{
    if (allow(dir, JOB_UPLOADED_AGAIN, err) != 0)
        return -1;
    return durable_unlink(dir, file_names[JOB_FILE_MISSING], err);
}

int record_mark_lost(int dir, enum tailslate_problem why, const char *detail, struct error *err)
{
    if (allow(dir, JOB_CLAIM_GONE, err) != 0)
        return -1;
    char cut[LOST_DETAIL_BYTES];
    size_t length = strnlen(detail, sizeof cut - 1);
    /* Do not cut within a UTF-8 sequence: the file must be JSON. */
    while (length > 0 && detail[length] && ((unsigned char)detail[length] & 0xC0) == 0x80)
        length--;
    memcpy(cut, detail, length);
    cut[length] = '\0';
    JSON(root) = json_new_object();
    json_set_text(root, "code", tailslate_problem_code(why));
    json_set_text(root, "detail", cut);
    TEXT(text) = json_print(root);
    return write_file(dir, JOB_FILE_LOST, text, err);
}

int record_read_lost(int dir, enum tailslate_problem *why, char detail[LOST_DETAIL_BYTES],
                     struct error *err)
{
    const char *name = file_names[JOB_FILE_LOST];
    JSON(root) = read_object(dir, name, err);
    if (!root)
        return -1;
    const char *code, *text;
    if (json_get_text(root, "code", 64, &code) != JSON_FOUND ||
        json_get_text(root, "detail", LOST_DETAIL_BYTES - 1, &text) != JSON_FOUND)
        return malformed(name, "members `code` and `detail` must be strings", err);
    *why = tailslate_problem_from_code(code);
    memcpy(detail, text, strlen(text) + 1);
    return 0;
}

int record_acknowledge(int dir, const char *answer, size_t size, struct error *err)
{
    if (allow(dir, JOB_ACKNOWLEDGMENT_RECORDED, err) != 0)
        return -1;
    return durable_write(dir, file_names[JOB_FILE_ACKNOWLEDGEMENT], answer, size, err);
}

int record_read_acknowledgment(int dir, char **answer, size_t *size, struct error *err)
{
    return read_file(dir, JOB_FILE_ACKNOWLEDGEMENT, answer, size, err);
}

bool record_is_same_video(const struct message_claim *a, const struct message_claim *b)
{
    return a->job_id == b->job_id && a->video_id == b->video_id &&
           strcmp(a->video_slug, b->video_slug) == 0;
}

/* The same video, and the same of its re-transcodes: a stock server counts none (0), nor did older
 * agents. */
static int check_purpose(const struct message_claim *former, const struct message_claim *given,
                         struct error *err)
{
    if (record_is_same_video(former, given) && former->retranscodes == given->retranscodes)
        return 0;
    if (record_is_same_video(former, given))
        return error_set(err, ERROR_TEMPORARY, ESTALE,
                         "the claim is for re-transcode %lld of the job; this record is for %lld",
                         (long long)given->retranscodes, (long long)former->retranscodes);
    return error_set(
        err, ERROR_TEMPORARY, ENOTUNIQ,
        "the server uses this job ID for another video: video %lld, %.64s; this record "
        "is for video %lld, %.64s",
        (long long)given->video_id, given->video_slug, (long long)former->video_id,
        former->video_slug);
}

int record_rebind(int dir, const struct record_claim *claim, struct error *err)
{
    enum job_state state;
    if (record_state(dir, &state, err) != 0)
        return -1;
    /* The one event from outside: the step may have ended the job a moment ago. */
    if (job_next(state, JOB_REBOUND) == JOB_WRONG)
        return error_set(err, ERROR_TEMPORARY, EBUSY,
                         "a record in state %s cannot take a new claim", job_state_name(state));
    struct record_claim former;
    if (record_read_claim(dir, &former, err) != 0 ||
        check_purpose(&former.claim, &claim->claim, err) != 0)
        return -1;
    if (record_write_claim(dir, claim, err) != 0)
        return -1;
    /* If interrupted here, the completion has the former token: record_read_sealed notices and
     * seals it again, so that whoever comes first presents the claim's token. */
    if (!durable_exists(dir, file_names[JOB_FILE_COMPLETION]))
        return 0;
    return write_completion(dir, err);
}

bool record_is_for_another(const struct error *err)
{
    return err->code == ENOTUNIQ || err->code == ESTALE;
}

int record_take_back(int dir, const struct record_claim *claim, struct error *err)
{
    enum job_state state;
    if (record_state(dir, &state, err) != 0)
        return -1;
    if (state != JOB_LOST)
        return record_rebind(dir, claim, err);
    if (!durable_exists(dir, file_names[JOB_FILE_OUTCOME]))
        return error_set(err, ERROR_TEMPORARY, EBUSY, "it contains no finished work");
    /* If interrupted between the two, it is lost as before and can be reclaimed again. */
    if (record_write_claim(dir, claim, err) != 0)
        return -1;
    return durable_unlink(dir, file_names[JOB_FILE_LOST], err);
}

static int read_failure_bytes(int dir, char **body, size_t *size, struct error *err)
{
    if (read_file(dir, JOB_FILE_FAILURE, body, size, err) != 0)
        return -1;
    struct message_failure failure;
    if (message_failure_parse(*body, *size, &failure, err) == TAILSLATE_PROBLEM_NONE)
        return 0;
    free(steal_text(body));
    return malformed(file_names[JOB_FILE_FAILURE], "is not a failure report", err);
}

/* 1: they exist but have another token than the claim. */
static int read_completion_bytes(int dir, char **body, size_t *size, struct error *err)
{
    const char *name = file_names[JOB_FILE_COMPLETION];
    struct record_claim claim;
    if (record_read_claim(dir, &claim, err) != 0)
        return -1;
    TEXT(text) = NULL;
    if (read_file(dir, JOB_FILE_COMPLETION, &text, size, err) != 0)
        return -1;
    struct tailslate_completion completion;
    struct error why;
    if (tailslate_completion_parse(text, *size, claim.claim.job_id, &completion, why.message) !=
        TAILSLATE_PROBLEM_NONE)
        return malformed(name, why.message, err);
    if (strcmp(completion.token, claim.token) != 0)
        return 1;
    *body = steal_text(&text);
    return 0;
}

int record_check_sealed(int dir, struct error *err)
{
    TEXT(body) = NULL;
    size_t size;
    return read_completion_bytes(dir, &body, &size, err) < 0 ? -1 : 0;
}

int record_read_sealed(int dir, char **body, size_t *size, bool *is_failure, struct error *err)
{
    *is_failure = durable_exists(dir, file_names[JOB_FILE_FAILURE]);
    if (*is_failure)
        return read_failure_bytes(dir, body, size, err);
    int found = read_completion_bytes(dir, body, size, err);
    if (found == 1 && write_completion(dir, err) == 0)
        found = read_completion_bytes(dir, body, size, err);
    return found == 0 ? 0 : -1;
}

static void set_time(struct json *object, const char *key, int64_t at_us)
{
    char text[WALL_TEXT_BYTES];
    wall_format(at_us, text);
    json_set_text(object, key, text);
}

struct json *record_format_waiting(const struct record_waiting *waiting)
{
    struct json *object = json_new_object();
    json_set_text(object, "reason", waiting->reason);
    if (waiting->since_us > 0)
        set_time(object, "since", waiting->since_us);
    if (waiting->next_us > 0)
        set_time(object, "next_attempt_at", waiting->next_us);
    if (waiting->hint[0])
        json_set_text(object, "hint", waiting->hint);
    return object;
}

/* Whatever is missing or malformed is left out: it is only shown. */
static void read_waiting(const struct json *root, struct record_waiting *waiting)
{
    const char *text;
    const struct json *object = json_get(root, "waiting");
    if (json_get_text(object, "reason", sizeof waiting->reason - 1, &text) == JSON_FOUND)
        text_cut(waiting->reason, sizeof waiting->reason, text);
    if (json_get_text(object, "hint", sizeof waiting->hint - 1, &text) == JSON_FOUND)
        text_cut(waiting->hint, sizeof waiting->hint, text);
    if (json_get_text(object, "since", WALL_TEXT_BYTES - 1, &text) == JSON_FOUND)
        (void)wall_parse(text, &waiting->since_us);
    if (json_get_text(object, "next_attempt_at", WALL_TEXT_BYTES - 1, &text) == JSON_FOUND)
        (void)wall_parse(text, &waiting->next_us);
}

int record_write_progress(int dir, const struct record_progress *progress, struct error *err)
{
    char updated_at[WALL_TEXT_BYTES];
    wall_format(progress->updated_at_us, updated_at);
    JSON(root) = json_new_object();
    set_message(root, "progress", message_progress_format(&progress->progress));
    json_set_number(root, "speed", progress->speed);
    if (progress->eta_seconds >= 0)
        json_set_int(root, "eta_seconds", progress->eta_seconds);
    json_set_text(root, "updated_at", updated_at);
    if (progress->waiting.reason[0])
        json_set(root, "waiting", record_format_waiting(&progress->waiting));
    TEXT(text) = json_print(root);
    return durable_write_volatile(dir, PROGRESS_NAME, text, strlen(text), err);
}

int record_read_progress(int dir, struct record_progress *progress, struct error *err)
{
    JSON(root) = read_object(dir, PROGRESS_NAME, err);
    if (!root)
        return -1;
    struct record_progress read = {.eta_seconds = TAILSLATE_ABSENT_INT};
    struct error why;
    TEXT(message) = print_member(root, "progress");
    if (message_progress_parse(message, strlen(message), &read.progress, &why) !=
        TAILSLATE_PROBLEM_NONE)
        return malformed(PROGRESS_NAME, why.message, err);
    const char *updated_at;
    if (json_get_number(root, "speed", 0, 1e6, &read.speed) != JSON_FOUND ||
        json_get_int(root, "eta_seconds", 0, INT64_MAX, &read.eta_seconds) == JSON_WRONG ||
        json_get_text(root, "updated_at", WALL_TEXT_BYTES - 1, &updated_at) != JSON_FOUND ||
        !wall_parse(updated_at, &read.updated_at_us))
        return malformed(PROGRESS_NAME, "speed, eta_seconds or updated_at is invalid", err);
    read_waiting(root, &read.waiting);
    *progress = read;
    return 0;
}
