#include "verifier/store/store_json.h"

#include "lib/json.h"
#include "lib/message_fields.h"
#include "verifier/store/store_operation.h"

#include <string.h>

struct json *store_job_json(const struct store_job *job)
{
    struct json *object = json_new_object();
    json_set_int(object, "job_id", job->id);
    json_set_int(object, "video_id", job->video_id);
    json_set_text(object, "slug", job->slug);
    json_set_text(object, "title", job->title);
    json_set_text(object, "status", job->video_status);
    json_set_text(object, "state", store_job_state_name(store_job_state(job)));
    json_set_int(object, "progress_percent", job->progress_percent);
    json_set_filled(object, "current_step", job->current_step);
    json_set_int(object, "claim_epoch", job->claim_epoch);
    json_set_int(object, "attempt_number", job->attempt_number);
    json_set_int(object, "max_attempts", job->max_attempts);
    json_set_filled(object, "worker_id", job->holder);
    json_set_filled(object, "last_worker_id", job->last_holder);
    json_set_filled(object, "last_worker_name", job->last_holder_name);
    json_set_filled(object, "created_at", job->created_at);
    json_set_filled(object, "claimed_at", job->claimed_at);
    json_set_filled(object, "claim_expires_at", job->claim_expires_at);
    json_set_filled(object, "completed_at", job->completed_at);
    json_set_filled(object, "last_error", job->last_error);
    json_set_int(object, "priority", job->priority);
    json_set_filled(object, "not_before", job->not_before);
    json_set_filled(object, "waiting_reason", job->waiting_reason);
    json_set_filled(object, "waiting_since", job->waiting_since);
    return object;
}

struct json *store_jobs_json(const struct store_job *jobs, size_t count)
{
    struct json *list = json_new_array();
    for (size_t i = 0; i < count; i++)
        json_append(list, store_job_json(&jobs[i]));
    return list;
}

struct json *store_progress_json(const struct message_quality_progress *progress, size_t count)
{
    struct json *list = json_new_array();
    for (size_t i = 0; i < count; i++) {
        struct json *object = json_new_object();
        json_set_text(object, "name", tailslate_quality_name(progress[i].quality));
        json_set_text(object, "status", quality_status_name(progress[i].status));
        json_set_int(object, "progress", progress[i].percent);
        json_append(list, object);
    }
    return list;
}

struct json *store_renditions_json(const struct store_details *details)
{
    struct json *list = json_new_array();
    for (size_t i = 0; i < details->rendition_count; i++) {
        const struct store_rendition *rendition = &details->renditions[i];
        struct json *object = json_new_object();
        json_set_text(object, "name", tailslate_quality_name(rendition->quality));
        json_set_int(object, "width", rendition->width);
        json_set_int(object, "height", rendition->height);
        json_set_int(object, "bitrate", rendition->bitrate);
        json_append(list, object);
    }
    return list;
}

static struct json *completion(const struct store_details *details)
{
    struct json *object = json_new_object();
    json_set_filled(object, "token", details->token);
    json_set_int(object, "claim_epoch", details->claim_epoch);
    json_set_text(object, "worker_id", details->worker_id);
    json_set_text(object, "committed_at", details->committed_at);
    json_set_bool(object, "late", details->late);
    json_set_int(object, "replays", details->replays);
    json_set(object, "warnings", warnings_new_array(&details->warnings));
    return object;
}

struct json *store_details_json(const struct store_details *details)
{
    const struct store_job *job = &details->job;
    struct json *root = store_job_json(job);
    json_set_filled(root, "streaming_format", job->format);
    json_set_filled(root, "primary_codec", job->codec);
    json_set_number(root, "duration", job->duration);
    json_set_int(root, "source_width", job->source_width);
    json_set_int(root, "source_height", job->source_height);
    json_set(root, "qualities", store_renditions_json(details));
    json_set(root, "quality_progress",
             store_progress_json(details->progress, details->progress_count));
    json_set(root, "completion", details->completed ? completion(details) : NULL);
    return root;
}

struct json *store_fleet_json(const struct store_fleet *fleet)
{
    struct json *object = json_new_object();
    json_set_filled(object, "now", fleet->now);
    json_set_filled(object, "alive_at", fleet->alive_at);
    json_set_filled(object, "up_since", fleet->up_since);
    json_set_filled(object, "leader", fleet->leader);
    json_set_filled(object, "leader_until", fleet->leader_until);
    json_set_filled(object, "last_sweep_at", fleet->last_sweep_at);
    json_set_filled(object, "suspicious_since", fleet->suspicious_since);
    json_set_filled(object, "last_cleanup_at", fleet->last_cleanup_at);
    return object;
}

struct json *store_counts_json(const struct store_counts *counts)
{
    struct json *object = json_new_object();
    json_set_int(object, "pending", counts->pending);
    json_set_int(object, "processing", counts->processing);
    json_set_int(object, "completed", counts->completed);
    json_set_int(object, "failed", counts->failed);
    return object;
}

static struct json *recent_object(const struct store_recent *recent)
{
    struct json *object = json_new_object();
    json_set_int(object, "job_id", recent->job_id);
    json_set_text(object, "slug", recent->slug);
    json_set_text(object, "title", recent->title);
    json_set_filled(object, "token", recent->token);
    json_set_int(object, "claim_epoch", recent->claim_epoch);
    json_set_text(object, "worker", recent->worker_name);
    json_set_text(object, "committed_at", recent->committed_at);
    json_set_bool(object, "late", recent->late);
    json_set_int(object, "replays", recent->replays);
    json_set(object, "warnings", warnings_new_array(&recent->warnings));
    return object;
}

struct json *store_recent_json(const struct store_overview *overview)
{
    struct json *list = json_new_array();
    for (size_t i = 0; i < overview->recent_count; i++)
        json_append(list, recent_object(&overview->recent[i]));
    return list;
}

struct json *store_sweep_json(const struct store_swept *sweep)
{
    struct error ignored;
    struct json *object = json_new_object();
    struct json *released = json_parse(sweep->released, strlen(sweep->released), &ignored);
    json_set_text(object, "swept_at", sweep->swept_at);
    json_set_text(object, "instance", sweep->instance);
    json_set_text(object, "outcome", sweep->outcome);
    json_set(object, "released", released ? released : json_new_array());
    return object;
}

struct json *store_sweeps_json(const struct store_overview *overview)
{
    struct json *list = json_new_array();
    for (size_t i = 0; i < overview->sweep_count; i++)
        json_append(list, store_sweep_json(&overview->sweeps[i]));
    return list;
}
