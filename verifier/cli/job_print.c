#include "verifier/cli/job_print.h"

#include "base/table.h"
#include "base/text.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/message_fields.h"
#include "verifier/base/slug.h"
#include "verifier/store/store_json.h"
#include "verifier/store/store_operation.h"

#include <string.h>

static const char *shown(const char *text)
{
    return text[0] ? text : "-";
}

/* The title, and the slug where it cannot be guessed from it. */
static char *video_of(const struct store_job *job)
{
    char guessed[SLUG_BYTES];
    slug_from_name(job->title, guessed);
    return strcmp(guessed, job->slug) == 0 ? must_strdup(job->title)
                                           : must_printf("%s (%s)", job->title, job->slug);
}

/* Of the video, but for a re-transcode that nobody has claimed. */
static const char *status_of(const struct store_job *job)
{
    return store_job_awaits_retranscode(job) ? "waiting (re-transcode)" : job->video_status;
}

/* Owned; NULL: nothing to say. The first line of an error is its reason, the others are of a log.
 */
static char *note_of(const struct store_job *job)
{
    char until[20];
    if (strcmp(job->video_status, "failed") == 0)
        return must_printf("%.*s", (int)strcspn(job->last_error, "\n"), job->last_error);
    if (!job->waiting_reason[0])
        return NULL;
    snprintf(until, sizeof until, "%.19s", job->not_before);
    return job->not_before[0] ? must_printf("until %s UTC: %s", until, job->waiting_reason)
                              : must_strdup(job->waiting_reason);
}

void job_print_list(const struct store_job *jobs, size_t count, FILE *out)
{
    static const char *const titles[] = {"ID", "STATUS", "DONE", "STEP", "TRY", "WORKER", "VIDEO"};
    struct table *table = table_new(titles, sizeof titles / sizeof titles[0], TABLE_CUT);
    for (size_t i = 0; i < count; i++) {
        const struct store_job *job = &jobs[i];
        char id[24], done[24], attempt[48];
        TEXT(video) = video_of(job);
        TEXT(note) = note_of(job);
        snprintf(id, sizeof id, "%lld", (long long)job->id);
        snprintf(done, sizeof done, "%lld%%", (long long)job->progress_percent);
        snprintf(attempt, sizeof attempt, "%lld/%lld", (long long)job->attempt_number,
                 (long long)job->max_attempts);
        table_row(table, (const char *const[]){id, status_of(job), done, job->current_step, attempt,
                                               job->last_holder_name, video});
        table_note(table, note);
    }
    table_print(table, text_columns(out), out);
    table_free(table);
}

void job_print_json(const struct store_details *details, FILE *out)
{
    JSON(root) = store_details_json(details);
    json_show(root, out);
}

/* A line of the form "label  text"; more lines of a text below it. Names and errors come from
 * others. */
static void print_text(FILE *out, const char *label, const char *text)
{
    for (const char *at = text; at; label = "") {
        size_t length = strcspn(at, "\n");
        TEXT(line) = must_printf("%.*s", (int)length, at);
        TEXT(plain) = text_plain(line);
        fprintf(out, "%-11s %s\n", label, plain);
        at = at[length] && at[length + 1] ? at + length + 1 : NULL;
    }
}

static void print_waiting(const struct store_job *job, FILE *out)
{
    if (job->priority)
        fprintf(out, "priority    %lld\n", (long long)job->priority);
    if (job->waiting_reason[0])
        print_text(out, "waits", job->waiting_reason);
    if (job->waiting_since[0])
        fprintf(out, "%-11s since %s\n", "", job->waiting_since);
    if (job->not_before[0])
        fprintf(out, "%-11s until %s%s\n", "", job->not_before,
                job->delayed_worker[0] ? ", for that worker" : "");
}

static void print_claim(const struct store_job *job, FILE *out)
{
    fprintf(out, "epoch       %lld\n", (long long)job->claim_epoch);
    fprintf(out, "attempt     %lld of %lld\n", (long long)job->attempt_number,
            (long long)job->max_attempts);
    TEXT(worker) = must_printf("%s (%s)", shown(job->last_holder_name), job->last_holder);
    if (job->last_holder[0])
        print_text(out, "worker", worker);
    if (job->claimed_at[0])
        fprintf(out, "claimed     %s, until %s\n", job->claimed_at, job->claim_expires_at);
    if (job->last_error[0])
        print_text(out, "last error", job->last_error);
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
    TEXT(video) = must_printf("%lld, %s", (long long)job->video_id, job->title);
    TEXT(files) = must_printf("%s/%s", videos_dir, job->slug);
    print_text(out, "video", video);
    print_text(out, "files", files);
    fprintf(out, "status      %s%s, %lld%%%s%s\n", status_of(job), job->deleted ? " (deleted)" : "",
            (long long)job->progress_percent, job->current_step[0] ? ", " : "", job->current_step);
    fprintf(out, "added       %s\n", job->created_at);
    print_waiting(job, out);
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
        print_text(out, i ? "" : "warnings", details->warnings.texts[i]);
}
