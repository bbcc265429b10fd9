/* Health, metrics, and verify-complete's look at the files. */
#include "routes.h"

#include "tailslate/cleanup.h"
#include "tailslate/clock.h"
#include "tailslate/metrics.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static struct json *check_object(bool ok, const char *detail)
{
    struct json *object = json_new_object();
    json_set_text(object, "status", ok ? "ok" : "down");
    if (!ok)
        json_set_text(object, "detail", detail);
    return object;
}

void route_health(struct request *request, struct answer *answer)
{
    struct error err;
    const struct files *files = request->app->files;
    bool store_ok = store_ping(request->app->store, &err) == 0;
    bool files_ok = faccessat(files->uploads, ".", R_OK | X_OK, AT_EACCESS) == 0 &&
                    faccessat(files->videos, ".", W_OK | X_OK, AT_EACCESS) == 0;
    struct json *root = json_new_object(), *checks = json_new_object();
    json_set_text(root, "status", store_ok && files_ok ? "healthy" : "unhealthy");
    json_set_text(root, "version", TAILSLATE_VERSION);
    json_set(checks, "database", check_object(store_ok, "the database does not answer"));
    json_set(checks, "files", check_object(files_ok, "a folder cannot be used"));
    json_set(root, "checks", checks);
    answer_object(answer, root);
    if (!store_ok || !files_ok)
        answer->status = 503;
}

void route_alive(struct request *request, struct answer *answer)
{
    (void)request;
    answer_text(answer, "text/plain", must_strdup("ok\n"));
}

void route_metrics(struct request *request, struct answer *answer)
{
    struct store_counts counts;
    struct error err;
    TEXT(ours) = metrics_print();
    if (store_count(request->app->store, &counts, &err) != 0)
        return answer_error(answer, request, &err);
    answer_text(answer, "text/plain; version=0.0.4",
                must_printf("%s# HELP tailslate_jobs Jobs by state.\n"
                            "# TYPE tailslate_jobs gauge\n"
                            "tailslate_jobs{state=\"pending\"} %lld\n"
                            "tailslate_jobs{state=\"processing\"} %lld\n"
                            "tailslate_jobs{state=\"completed\"} %lld\n"
                            "tailslate_jobs{state=\"failed\"} %lld\n",
                            ours, (long long)counts.pending, (long long)counts.processing,
                            (long long)counts.completed, (long long)counts.failed));
}

static void note_missing(const char *path, void *ctx)
{
    json_append_text(ctx, path);
}

/* What of the video's files is there: fills both lists. */
static void look_at_files(int video, quality_set recorded, struct json *present,
                          struct json *missing)
{
    bool any_cmaf = false;
    for (enum quality quality = 0; quality < QUALITY_COUNT; quality++) {
        if (!(recorded & 1u << quality))
            continue;
        int before = json_count(missing);
        any_cmaf |= files_check_quality(video, quality, note_missing, missing);
        if (json_count(missing) == before)
            json_append_text(present, quality_name(quality));
    }
    static const char *const common[] = {"master.m3u8", "thumbnail.jpg", "manifest.mpd"};
    for (size_t i = 0; i < sizeof common / sizeof common[0]; i++)
        if ((strcmp(common[i], "manifest.mpd") != 0 || any_cmaf) &&
            !files_is_there(video, common[i]))
            json_append_text(missing, common[i]);
}

static void answer_verification(struct request *request, struct answer *answer,
                                const struct store_job *job, quality_set recorded)
{
    struct error ignored;
    struct json *root = json_new_object();
    struct json *present = json_new_array(), *missing = json_new_array();
    FD(video) = files_open_video(request->app->files, job->slug, false, &ignored);
    look_at_files(video, recorded, present, missing);
    bool completed = job->completed_at[0] && strcmp(job->video_status, "failed") != 0;
    bool ready = strcmp(job->video_status, "ready") == 0;
    json_set_int(root, "job_id", job->id);
    json_set_int(root, "video_id", job->video_id);
    json_set_text(root, "video_slug", job->slug);
    json_set_text(root, "video_status", job->video_status);
    json_set_bool(root, "job_completed", completed);
    json_set_bool(root, "all_files_present",
                  completed && ready && recorded && json_count(missing) == 0);
    json_set(root, "qualities_present", present);
    json_set(root, "missing_files", missing);
    answer_object(answer, root);
}

void route_verify_complete(struct request *request, struct answer *answer)
{
    struct store_caller caller = route_caller(request);
    enum verify_standing standing;
    struct store_job job;
    quality_set recorded;
    struct error err;
    if (store_look(request->app->store, &caller, request->number, &standing, &job, &err) != 0)
        return answer_error(answer, request, &err);
    enum problem problem = verify_standing_problem(standing);
    /* The question is about the job, not about the claim: who held it last may ask. */
    bool may_ask = problem == PROBLEM_NONE || standing == STANDING_COMPLETED ||
                   standing == STANDING_FAILED;
    if (!may_ask)
        return answer_problem(answer, problem, NULL);
    if (store_recorded_qualities(request->app->store, job.video_id, &recorded, &err) != 0)
        return answer_error(answer, request, &err);
    answer_verification(request, answer, &job, recorded);
}
