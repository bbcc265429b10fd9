#include "base/message.h"

#include "lib/message_fields.h"

#include <stdio.h>
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
    claim->existing = field_quality_names(list);
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
              "video_slug, source_filename: expected a name without a slash");
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
           field_int(root, "attempt_number", 0, ID_MAX, &claim->attempt_number, err) &&
           field_int(root, "retranscodes", 0, ID_MAX, &claim->retranscodes, err);
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
                                       "claim_epoch",     "attempt_number",   "retranscodes"};
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
        put_int(root, "retranscodes", claim->retranscodes);
    }
    json_set_text(root, "message", message ? message : "");
    return message_close(root);
}

char *message_no_job_format(const char *waiting_reason)
{
    struct json *root = new_empty_claim();
    json_set_text(root, "message", "No job available");
    json_set_filled(root, "waiting_reason", waiting_reason);
    return message_close(root);
}

void message_no_job_parse(const char *body, size_t size, char *waiting_reason, size_t reason_size)
{
    struct error ignored;
    JSON(root) = json_parse(body, size, &ignored);
    const char *reason = json_text(json_get(root, "waiting_reason"));
    text_cut(waiting_reason, reason_size, reason ? reason : "");
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
                  "error_message: expected a string of at most %d characters", REASON_BYTES - 1);
        return TAILSLATE_PROBLEM_INVALID_FIELD;
    }
    text_cut_lines(failure->reason, sizeof failure->reason, reason);
    return field_bool(root, "retry", &failure->retry, err) ? TAILSLATE_PROBLEM_NONE
                                                           : TAILSLATE_PROBLEM_INVALID_FIELD;
}

char *message_failure_format(const struct message_failure *failure)
{
    char reason[REASON_BYTES];
    text_cut_lines(reason, sizeof reason, failure->reason);
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

/* ---- problems -------------------------------------------------------------------------------- */

/* Ours is a string; a stock server's validation error is an array of objects with a `msg`. */
static const char *detail_text(const struct json *root)
{
    const struct json *detail = json_get(root, "detail");
    if (!json_is_array(detail))
        return json_text(detail);
    const struct json *first = json_first(detail);
    const char *text = json_text(json_get(first, "msg"));
    return text ? text : json_text(first);
}

void message_problem_parse(const char *body, size_t size, struct message_problem *problem)
{
    struct error ignored;
    *problem = (struct message_problem){.problem = TAILSLATE_PROBLEM_NONE};
    JSON(root) = json_parse(body, size, &ignored);
    const char *code = json_text(json_get(root, "code"));
    const char *detail = detail_text(root);
    if (code)
        problem->problem = tailslate_problem_from_code(code);
    if (detail)
        text_cut(problem->detail, sizeof problem->detail, detail);
    problem->missing = field_quality_names(json_get(root, "qualities"));
}

char *message_problem_format(enum tailslate_problem problem, const char *detail,
                             tailslate_quality_set missing)
{
    char type[64];
    snprintf(type, sizeof type, "urn:tailslate:problem:%s", tailslate_problem_code(problem));
    struct json *root = json_new_object();
    json_set_text(root, "type", type);
    json_set_text(root, "title", tailslate_problem_title(problem));
    json_set_int(root, "status", tailslate_problem_status(problem));
    json_set_text(root, "detail", detail ? detail : tailslate_problem_title(problem));
    json_set_text(root, "code", tailslate_problem_code(problem));
    if (missing)
        put_qualities(root, "qualities", missing);
    return message_close(root);
}

/* ---- progress -------------------------------------------------------------------------------- */

static const char *const quality_status_names[] = {
    [QUALITY_STATUS_PENDING] = "pending",     [QUALITY_STATUS_IN_PROGRESS] = "in_progress",
    [QUALITY_STATUS_UPLOADING] = "uploading", [QUALITY_STATUS_COMPLETED] = "completed",
    [QUALITY_STATUS_UPLOADED] = "uploaded",   [QUALITY_STATUS_FAILED] = "failed",
    [QUALITY_STATUS_SKIPPED] = "skipped",
};
static const char *const work_step_names[] = {
    [WORK_ABSENT] = NULL,           [WORK_DOWNLOAD] = "download",
    [WORK_PROBE] = "probe",         [WORK_THUMBNAIL] = "thumbnail",
    [WORK_TRANSCODE] = "transcode", [WORK_MASTER_PLAYLIST] = "master_playlist",
    [WORK_UPLOAD] = "upload",       [WORK_FINALIZE] = "finalize",
};

const char *quality_status_name(enum quality_status status)
{
    must((size_t)status < COUNT_OF(quality_status_names));
    return quality_status_names[status];
}

const char *work_step_name(enum work_step step)
{
    must((size_t)step < COUNT_OF(work_step_names));
    return work_step_names[step];
}

static bool read_status(const struct json *node, enum quality_status *out, struct error *err)
{
    unsigned status = COUNT_OF(quality_status_names);
    if (!field_enum(node, "status", quality_status_names, COUNT_OF(quality_status_names), &status,
                    err))
        return false;
    if (status == COUNT_OF(quality_status_names)) {
        error_set(err, ERROR_PERMANENT, 0, "status: missing");
        return false;
    }
    *out = (enum quality_status)status;
    return true;
}

static bool read_quality(const struct json *node, void *item, enum tailslate_quality *quality,
                         struct error *err)
{
    struct message_quality_progress *progress = item;
    *progress = (struct message_quality_progress){.segments_total = TAILSLATE_ABSENT_INT,
                                                  .segments_completed = TAILSLATE_ABSENT_INT};
    bool good = field_quality(node, "name", &progress->quality, err) &&
                read_status(node, &progress->status, err) &&
                field_int(node, "progress", 0, 100, &progress->percent, err) &&
                field_int(node, "segments_total", 0, COLUMN_MAX, &progress->segments_total, err) &&
                field_int(node, "segments_completed", 0, COLUMN_MAX, &progress->segments_completed,
                          err);
    *quality = progress->quality;
    return good;
}

static bool read_progress(const struct json *root, struct message_progress *progress,
                          struct error *err)
{
    unsigned step = WORK_ABSENT;
    bool good =
        field_enum(root, "current_step", work_step_names, COUNT_OF(work_step_names), &step, err) &&
        field_int(root, "progress_percent", 0, 100, &progress->percent, err) &&
        field_qualities(root, "quality_progress", read_quality, progress->qualities,
                        sizeof progress->qualities[0], &progress->quality_count, err) &&
        field_number(root, "duration", 0, &progress->duration, err) &&
        field_int(root, "source_width", 1, TAILSLATE_SIDE_MAX, &progress->source_width, err) &&
        field_int(root, "source_height", 1, TAILSLATE_SIDE_MAX, &progress->source_height, err);
    progress->step = (enum work_step)step;
    return good;
}

enum tailslate_problem message_progress_parse(const char *body, size_t size,
                                              struct message_progress *progress, struct error *err)
{
    *progress = (struct message_progress){.percent = TAILSLATE_ABSENT_INT,
                                          .duration = TAILSLATE_ABSENT_NUMBER,
                                          .source_width = TAILSLATE_ABSENT_INT,
                                          .source_height = TAILSLATE_ABSENT_INT};
    JSON(root) = NULL;
    enum tailslate_problem problem = message_open(body, size, &root, err);
    if (problem != TAILSLATE_PROBLEM_NONE)
        return problem;
    return read_progress(root, progress, err) ? TAILSLATE_PROBLEM_NONE
                                              : TAILSLATE_PROBLEM_INVALID_FIELD;
}

static struct json *new_quality(const struct message_quality_progress *progress)
{
    struct json *node = json_new_object();
    json_set_text(node, "name", tailslate_quality_name(progress->quality));
    json_set_text(node, "status", quality_status_name(progress->status));
    json_set_int(node, "progress", progress->percent);
    put_int(node, "segments_total", progress->segments_total);
    put_int(node, "segments_completed", progress->segments_completed);
    return node;
}

char *message_progress_format(const struct message_progress *progress)
{
    struct json *root = json_new_object(), *list = json_new_array();
    must(progress->quality_count <= TAILSLATE_QUALITY_COUNT);
    for (size_t i = 0; i < progress->quality_count; i++)
        json_append(list, new_quality(&progress->qualities[i]));
    put_text(root, "current_step", work_step_name(progress->step));
    put_int(root, "progress_percent", progress->percent);
    json_set(root, "quality_progress", list);
    put_number(root, "duration", progress->duration);
    put_int(root, "source_width", progress->source_width);
    put_int(root, "source_height", progress->source_height);
    return message_close(root);
}
