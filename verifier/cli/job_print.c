#include "verifier/cli/job_print.h"

#include "lib/json.h"
#include "lib/message_fields.h"
#include "verifier/cli/table.h"
#include "verifier/store/store_json.h"

#include <string.h>

static const char *shown(const char *text)
{
    return text[0] ? text : "-";
}

void job_print_list(const struct store_job *jobs, size_t count, FILE *out)
{
    static const char *const titles[] = {"ID",      "STATUS", "DONE",   "STEP",
                                         "ATTEMPT", "EPOCH",  "WORKER", "SLUG"};
    struct table *table = table_new(titles, sizeof titles / sizeof titles[0]);
    for (size_t i = 0; i < count; i++) {
        const struct store_job *job = &jobs[i];
        char id[24], done[STATUS_BAR_BYTES], attempt[48], epoch[24];
        snprintf(id, sizeof id, "%lld", (long long)job->id);
        status_bar(job->progress_percent, done);
        snprintf(attempt, sizeof attempt, "%lld/%lld", (long long)job->attempt_number,
                 (long long)job->max_attempts);
        snprintf(epoch, sizeof epoch, "%lld", (long long)job->claim_epoch);
        table_row(table, (const char *const[]){id, job->video_status, done, job->current_step,
                                               attempt, epoch, job->last_holder_name, job->slug});
    }
    table_print(table, out);
    table_free(table);
}

void job_print_list_json(const struct store_job *jobs, size_t count, FILE *out)
{
    JSON(list) = store_jobs_json(jobs, count);
    json_show(list, out);
}

static struct json *renditions(const struct store_details *details)
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

void job_print_json(const struct store_details *details, FILE *out)
{
    const struct store_job *job = &details->job;
    JSON(root) = store_job_json(job);
    json_set_filled(root, "streaming_format", job->format);
    json_set_filled(root, "primary_codec", job->codec);
    json_set_number(root, "duration", job->duration);
    json_set_int(root, "source_width", job->source_width);
    json_set_int(root, "source_height", job->source_height);
    json_set(root, "qualities", renditions(details));
    json_set(root, "quality_progress",
             store_progress_json(details->progress, details->progress_count));
    json_set(root, "completion", details->completed ? completion(details) : NULL);
    json_show(root, out);
}

/* A failure's reason, and below it the last lines of the transcoder's log. */
static void print_error(const char *text, FILE *out)
{
    fputs("last error  ", out);
    for (; *text; text++) {
        if (*text == '\n')
            fputs("\n            ", out);
        else
            fputc((unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text, out);
    }
    fputc('\n', out);
}

static void print_claim(const struct store_job *job, FILE *out)
{
    fprintf(out, "epoch       %lld\n", (long long)job->claim_epoch);
    fprintf(out, "attempt     %lld of %lld\n", (long long)job->attempt_number,
            (long long)job->max_attempts);
    if (job->last_holder[0])
        fprintf(out, "worker      %s (%s)\n", shown(job->last_holder_name), job->last_holder);
    if (job->claimed_at[0])
        fprintf(out, "claimed     %s, until %s\n", job->claimed_at, job->claim_expires_at);
    if (job->last_error[0])
        print_error(job->last_error, out);
}

static void print_renditions(const struct store_details *details, FILE *out)
{
    for (size_t i = 0; i < details->progress_count; i++)
        fprintf(out, "%-11s %-9s %-11s %3lld%%\n", i ? "" : "progress",
                tailslate_quality_name(details->progress[i].quality),
                quality_status_name(details->progress[i].status),
                (long long)details->progress[i].percent);
    for (size_t i = 0; i < details->rendition_count; i++) {
        const struct store_rendition *rendition = &details->renditions[i];
        fprintf(out, "%-11s %-9s %lldx%lld, %lld kbit/s\n", i ? "" : "renditions",
                tailslate_quality_name(rendition->quality), (long long)rendition->width,
                (long long)rendition->height, (long long)rendition->bitrate);
    }
}

void job_print(const struct store_details *details, const char *videos_dir, FILE *out)
{
    const struct store_job *job = &details->job;
    fprintf(out, "job         %lld\n", (long long)job->id);
    fprintf(out, "video       %lld, %s\n", (long long)job->video_id, job->title);
    fprintf(out, "files       %s/%s\n", videos_dir, job->slug);
    fprintf(out, "status      %s%s, %lld%%%s%s\n", job->video_status,
            job->deleted ? " (deleted)" : "", (long long)job->progress_percent,
            job->current_step[0] ? ", " : "", job->current_step);
    fprintf(out, "added       %s\n", job->created_at);
    print_claim(job, out);
    if (job->source_width)
        fprintf(out, "source      %lldx%lld, %.2f s\n", (long long)job->source_width,
                (long long)job->source_height, job->duration);
    if (job->format[0])
        fprintf(out, "format      %s, %s\n", job->format, shown(job->codec));
    print_renditions(details, out);
    if (!details->completed)
        return;
    fprintf(out, "completion  %s%s\n", details->committed_at, details->late ? " (late)" : "");
    if (details->replays)
        fprintf(out, "            presented again %lld time%s\n", (long long)details->replays,
                details->replays == 1 ? "" : "s");
    fprintf(out, "            token %s, epoch %lld\n", shown(details->token),
            (long long)details->claim_epoch);
    fprintf(out, "            by worker %s\n", details->worker_id);
    for (size_t i = 0; i < details->warnings.count; i++)
        fprintf(out, "%-11s %s\n", i ? "" : "warnings", details->warnings.texts[i]);
}
