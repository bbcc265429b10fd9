#include "base/message.h"
#include "lib/message_fields.h"

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
    if (!field_word(node, "status", quality_status_names, COUNT_OF(quality_status_names), &status,
                    err))
        return false;
    if (status == COUNT_OF(quality_status_names)) {
        error_set(err, ERROR_PERMANENT, 0, "status: missing");
        return false;
    }
    *out = (enum quality_status)status;
    return true;
}

static bool read_quality(const struct json *node, struct message_quality_progress *progress,
                         struct error *err)
{
    *progress = (struct message_quality_progress){.segments_total = TAILSLATE_ABSENT_INT,
                                                  .segments_completed = TAILSLATE_ABSENT_INT};
    return field_quality(node, "name", &progress->quality, err) &&
           read_status(node, &progress->status, err) &&
           field_int(node, "progress", 0, 100, &progress->percent, err) &&
           field_int(node, "segments_total", 0, COLUMN_MAX, &progress->segments_total, err) &&
           field_int(node, "segments_completed", 0, COLUMN_MAX, &progress->segments_completed, err);
}

static bool read_qualities(const struct json *root, struct message_progress *progress,
                           struct error *err)
{
    const struct json *list;
    if (!field_list(root, "quality_progress", TAILSLATE_QUALITY_COUNT, &list, err))
        return false;
    tailslate_quality_set seen = 0;
    for (const struct json *at = json_first(list); at; at = json_next(at)) {
        struct message_quality_progress *quality = &progress->qualities[progress->quality_count];
        if (!read_quality(at, quality, err)) {
            error_wrap(err, "quality_progress[%zu]", progress->quality_count);
            return false;
        }
        if (seen & (1u << quality->quality)) {
            error_set(err, ERROR_PERMANENT, 0, "quality_progress: %s appears twice",
                      tailslate_quality_name(quality->quality));
            return false;
        }
        seen |= 1u << quality->quality;
        progress->quality_count++;
    }
    return true;
}

static bool read_progress(const struct json *root, struct message_progress *progress,
                          struct error *err)
{
    unsigned step = WORK_ABSENT;
    bool good =
        field_word(root, "current_step", work_step_names, COUNT_OF(work_step_names), &step, err) &&
        field_int(root, "progress_percent", 0, 100, &progress->percent, err) &&
        read_qualities(root, progress, err) &&
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
