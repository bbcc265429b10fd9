/* Every other call of the Worker API: its answer, its limits, its refusals. */
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "scene.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- claim and heartbeat ---- */

Test(api, a_heartbeat_is_recorded_and_answered)
{
    struct scene scene = scene_idle();
    REPLY(reply) = worker_call(&scene.worker, "/api/worker/heartbeat",
                               "{\"status\":\"idle\",\"code_version\":\"1.2\","
                               "\"metadata\":{\"capabilities\":{\"ffmpeg_version\":\"5\"},"
                               "\"jobs\":[],\"deployment_type\":\"manual\"}}",
                               NULL);
    reply_is(&reply, 200, NULL);
    const char *const members[] = {"status", "server_time", "version_ok", "worker_status",
                                   "last_heartbeat_recorded"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        cr_assert(reply_has(&reply, members[i]), "no %s: %s", members[i], reply.body);
    REPLY(bad) = worker_call(&scene.worker, "/api/worker/heartbeat", "{\"status\":\"asleep\"}",
                             NULL);
    reply_is(&bad, 422, "invalid_field");
    rig_end(scene.rig);
}

static void beat_as(const struct scene *scene, const char *version, bool is_ok)
{
    TEXT(body) = must_printf("{\"status\":\"idle\"%s}", version);
    REPLY(reply) = worker_call(&scene->worker, "/api/worker/heartbeat", body, NULL);
    reply_is(&reply, 200, NULL);
    cr_assert(reply_has(&reply, "version_ok"));
    cr_assert_eq(reply_bool(&reply, "version_ok"), is_ok, "%s", reply.body);
}

/* A stock worker exits at that; the job that it would claim before it hears of it is lost time. */
Test(api, a_worker_of_another_version_is_told_so_and_gets_no_job)
{
    struct scene scene = {.rig = rig_new()};
    rig_verifier_set(scene.rig, "workers.required_version", "\"abc123\"");
    rig_start_verifier(scene.rig);
    scene.worker = worker_new(scene.rig, "alice");
    rig_add_job(scene.rig, media_clip(MEDIA_TINY), "film");
    beat_as(&scene, ",\"code_version\":\"other\",\"metadata\":{\"jobs\":[]}", false);
    cr_assert_not(worker_claim(&scene.worker));
    beat_as(&scene, "", true);
    cr_assert_not(worker_claim(&scene.worker), "what says nothing takes nothing back");
    beat_as(&scene, ",\"code_version\":\"abc123\",\"metadata\":{}", true);
    cr_assert(worker_claim(&scene.worker));
    rig_end(scene.rig);
}

Test(api, every_version_is_good_by_default)
{
    struct scene scene = scene_idle();
    beat_as(&scene, ",\"code_version\":\"other\"", true);
    rig_add_job(scene.rig, media_clip(MEDIA_TINY), "film");
    cr_assert(worker_claim(&scene.worker));
    rig_end(scene.rig);
}

/* What a stock worker asks for again and again while there is nothing to do. */
Test(api, a_worker_without_work_is_answered_as_by_a_stock_server_and_not_logged)
{
    struct scene scene = scene_idle();
    TEXT(log) = rig_path(scene.rig, "verifier.1.log");
    int before = log_count(log, "request_id=");
    for (int i = 0; i < 2; i++) {
        REPLY(reply) = worker_call(&scene.worker, "/api/reencode/claim", i == 0 ? "" : NULL, NULL);
        reply_is(&reply, 200, NULL);
        cr_assert(strstr(reply.body, "\"job\":null"), "%s", reply.body);
        cr_assert(*reply_text(&reply, "message"));
        REPLY(claim) = worker_try_claim(&scene.worker, 0);
        reply_is(&claim, 200, NULL);
        beat_as(&scene, "", true);
    }
    cr_assert_eq(log_count(log, "request_id="), before);
    rig_end(scene.rig);
}

Test(api, a_claim_without_a_job_is_a_200_of_nulls)
{
    struct scene scene = scene_idle();
    REPLY(reply) = worker_try_claim(&scene.worker, 0);
    reply_is(&reply, 200, NULL);
    cr_assert(!reply_has(&reply, "job_id") && strstr(reply.body, "\"job_id\":null"), "%s",
              reply.body);
    cr_assert(*reply_text(&reply, "message"));
    rig_end(scene.rig);
}

Test(api, a_claim_says_all_that_a_worker_needs)
{
    struct scene scene = scene_idle();
    int64_t job = rig_add_job(scene.rig, media_clip(MEDIA_NORMAL), "film");
    REPLY(reply) = worker_try_claim(&scene.worker, 0);
    reply_is(&reply, 200, NULL);
    cr_assert_eq(reply_int(&reply, "job_id"), job);
    cr_assert_eq(reply_int(&reply, "claim_epoch"), 1);
    cr_assert_eq(reply_int(&reply, "attempt_number"), 1);
    cr_assert_str_eq(reply_text(&reply, "video_slug"), "film");
    cr_assert(strstr(reply_text(&reply, "source_filename"), ".mp4"), "%s", reply.body);
    cr_assert(reply_has(&reply, "claim_expires_at") && reply_has(&reply, "video_id"));
    struct worker bob = worker_new(scene.rig, "bob");
    REPLY(none) = worker_try_claim(&bob, 0);
    reply_is(&none, 200, NULL);
    cr_assert_eq(bob.job, 0, "one job was given to two");
    rig_end(scene.rig);
}

Test(api, a_long_poll_ends_when_a_job_comes)
{
    struct scene scene = scene_idle();
    struct process *poll = NULL;
    TEXT(log) = rig_path(scene.rig, "poll.log");
    TEXT(out) = rig_path(scene.rig, "poll.out");
    TEXT(url) = must_printf("http://127.0.0.1:%d/api/worker/claim?wait=30", scene.rig->port);
    TEXT(key) = must_printf("X-Worker-API-Key: %s", scene.worker.key);
    poll = process_start(
        (const char *[]){"curl", "-sS", "-X", "POST", "-H", key, "-d", "", url, NULL}, NULL, log,
        out);
    cr_assert_not(process_ends_within(poll, 500), "it did not hold the call");
    rig_add_job(scene.rig, media_clip(MEDIA_TINY), "film");
    cr_assert_eq(process_wait(poll, 10 * 1000), 0);
    TEXT(answer) = file_read(out);
    cr_assert(strstr(answer, "\"job_id\":1"), "%s", answer);
    process_free(poll);
    rig_end(scene.rig);
}

Test(api, a_long_poll_without_a_job_ends_in_time)
{
    struct scene scene = scene_idle();
    REPLY(reply) = worker_call(&scene.worker, "/api/worker/claim?wait=1", "", NULL);
    reply_is(&reply, 200, NULL);
    cr_assert(!reply_has(&reply, "job_id"));
    cr_assert(reply.took_ms >= 900 && reply.took_ms < 5000, "%d ms", (int)reply.took_ms);
    const char *const bad[] = {"/api/worker/claim?wait=61", "/api/worker/claim?wait=-1",
                               "/api/worker/claim?wait=x", "/api/worker/claim?job_id=x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        REPLY(refused) = worker_call(&scene.worker, bad[i], "", NULL);
        reply_is(&refused, 422, "invalid_field");
    }
    rig_end(scene.rig);
}

/* ---- progress and fail ---- */

Test(api, progress_is_kept_and_extends_the_claim)
{
    struct scene scene = scene_claimed();
    char before[64], after[64];
    inspect_text(scene.rig, before, sizeof before, "SELECT claim_expires_at FROM transcoding_jobs");
    REPLY(reply) = scene_call(&scene, "progress",
                              "{\"current_step\":\"transcode\",\"progress_percent\":42,"
                              "\"quality_progress\":[{\"name\":\"360p\",\"status\":\"in_progress\","
                              "\"progress\":40,\"segments_total\":5,\"segments_completed\":2}]}");
    reply_is(&reply, 200, NULL);
    cr_assert_str_eq(reply_text(&reply, "status"), "ok");
    inspect_text(scene.rig, after, sizeof after, "SELECT claim_expires_at FROM transcoding_jobs");
    cr_assert(strcmp(after, before) > 0, "%s -> %s", before, after);
    cr_assert_eq(inspect_int(scene.rig, "SELECT progress_percent FROM transcoding_jobs"), 42);
    cr_assert_eq(inspect_int(scene.rig, "SELECT segments_completed FROM quality_progress WHERE "
                                        "quality='360p' AND status='in_progress'"),
                 2);
    const char *const bad[] = {"{\"progress_percent\":101}",
                               "{\"progress_percent\":-1}",
                               "{\"current_step\":\"dance\"}",
                               "{\"quality_progress\":[{\"name\":\"1p\"}]}",
                               ("{\"quality_progress\":[{\"name\":\"360p\",\"status\":\"odd\","
                                "\"progress\":1}]}"),
                               "{\"source_width\":0}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        REPLY(refused) = scene_call(&scene, "progress", bad[i]);
        reply_is(&refused, 422, "invalid_field");
    }
    rig_end(scene.rig);
}

Test(api, a_failure_is_charged_once_a_claim_and_its_replay_is_answered_alike)
{
    struct scene scene = scene_claimed();
    static const char body[] = "{\"error_message\":\"the encoder died\"}";
    REPLY(first) = scene_call(&scene, "fail", body);
    reply_is(&first, 200, NULL);
    cr_assert(reply_bool(&first, "will_retry"));
    REPLY(again) = scene_call(&scene, "fail", body);
    reply_is(&again, 200, NULL);
    cr_assert(reply_bool(&again, "will_retry"));
    cr_assert_eq(reply_int(&again, "attempt_number"), reply_int(&first, "attempt_number"));
    for (int attempt = 2; attempt <= 3; attempt++) {
        REPLY(claim) = worker_try_claim(&scene.worker, 0);
        cr_assert_eq(reply_int(&claim, "attempt_number"), attempt, "%s", claim.body);
        REPLY(failed) = scene_call(&scene, "fail", body);
        reply_is(&failed, 200, NULL);
        cr_assert_eq(reply_bool(&failed, "will_retry"), attempt < 3, "%s", failed.body);
    }
    cr_assert_eq(inspect_int(scene.rig, "SELECT count(*) FROM videos WHERE status='failed' AND "
                                        "error_message='the encoder died'"),
                 1);
    REPLY(nothing) = worker_try_claim(&scene.worker, 0);
    cr_assert_eq(scene.worker.job, 0, "%s", nothing.body);
    rig_end(scene.rig);
}

Test(api, a_failures_reason_is_limited)
{
    struct scene scene = scene_claimed();
    char reason[502];
    memset(reason, 'x', 501);
    reason[501] = '\0';
    TEXT(body) = must_printf("{\"error_message\":\"%s\"}", reason);
    REPLY(reply) = scene_call(&scene, "fail", body);
    reply_is(&reply, 422, "invalid_field");
    rig_end(scene.rig);
}

Test(api, every_call_of_a_superseded_holder_is_refused)
{
    struct scene scene = scene_claimed();
    struct worker bob = worker_new(scene.rig, "bob");
    RUN(run) = rig_verifier(scene.rig, (const char *[]){"job", "release", "1", NULL});
    cr_assert(worker_claim(&bob));
    for (int with_epoch = 0; with_epoch < 2; with_epoch++) {
        scene.worker.sends_epoch = with_epoch;
        REPLY(progress) = scene_call(&scene, "progress", "{\"progress_percent\":1}");
        reply_is(&progress, 409, "claim_lost");
        REPLY(fail) = scene_call(&scene, "fail", "{\"error_message\":\"x\"}");
        reply_is(&fail, 409, "claim_lost");
        REPLY(segment) = worker_put(&scene.worker, "360p", "seg_0001.m4s", "\0\0\0\x10moof....",
                                    12);
        reply_is(&segment, 409, "claim_lost");
    }
    TEXT(file) = rig_path(scene.rig, "videos/film/360p/seg_0001.m4s");
    cr_assert(access(file, F_OK) != 0, "the file of a superseded holder is there");
    cr_assert_eq(inspect_int(scene.rig, "SELECT attempt_number FROM transcoding_jobs"), 1);
    REPLY(bobs) = worker_call(&bob, "/api/worker/1/progress", "{\"progress_percent\":1}", NULL);
    reply_is(&bobs, 200, NULL);
    rig_end(scene.rig);
}

/* A stock worker deletes its files on a 409: who has lost nothing is not told that it has. */
Test(api, every_call_of_who_never_held_the_job_is_not_your_job)
{
    struct scene scene = scene_claimed();
    struct worker bob = worker_new(scene.rig, "bob");
    bob.job = scene.job;
    bob.video = scene.worker.video;
    for (int with_epoch = 0; with_epoch < 2; with_epoch++) {
        bob.sends_epoch = with_epoch;
        bob.epoch = scene.worker.epoch;
        REPLY(progress) = worker_call(&bob, "/api/worker/1/progress", "{}", NULL);
        reply_is(&progress, 403, "not_your_job");
        REPLY(fail) = worker_call(&bob, "/api/worker/1/fail", "{\"error_message\":\"x\"}", NULL);
        reply_is(&fail, 403, "not_your_job");
        REPLY(verify) = worker_call(&bob, "/api/worker/1/verify-complete", NULL, NULL);
        reply_is(&verify, 403, "not_your_job");
        REPLY(segment) = worker_put(&bob, "360p", "seg_0001.m4s", "\0\0\0\x10moof....", 12);
        reply_is(&segment, 403, "not_your_job");
    }
    rig_end(scene.rig);
}

/* ---- the source ---- */

static struct reply source(const struct scene *scene, const char *header)
{
    TEXT(path) = must_printf("/api/worker/source/%lld", (long long)scene->worker.video);
    return worker_call(&scene->worker, path, NULL, header);
}

Test(api, the_source_comes_whole_and_in_ranges)
{
    struct scene scene = scene_claimed();
    struct stat film;
    cr_assert(stat(media_clip(MEDIA_NORMAL), &film) == 0);
    size_t size = (size_t)film.st_size;
    REPLY(whole) = source(&scene, NULL);
    reply_is(&whole, 200, NULL);
    cr_assert_eq(whole.size, size);
    char etag[128], range[128], type[64];
    reply_header(&whole, "ETag", etag, sizeof etag);
    reply_header(&whole, "Content-Type", type, sizeof type);
    cr_assert(etag[0] == '"', "no strong ETag: %s", etag);
    cr_assert_str_eq(type, "application/octet-stream");

    struct {
        const char *range;
        size_t from, size;
    } parts[] = {{"bytes=0-9", 0, 10},
                 {"bytes=100-", 100, size - 100},
                 {"bytes=-7", size - 7, 7},
                 {"bytes=5-99999999999", 5, size - 5}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        TEXT(header) = must_printf("Range: %s", parts[i].range);
        REPLY(part) = source(&scene, header);
        reply_is(&part, 206, NULL);
        cr_assert_eq(part.size, parts[i].size, "%s gives %zu bytes", parts[i].range, part.size);
        cr_assert(memcmp(part.body, whole.body + parts[i].from, part.size) == 0);
        TEXT(wanted) = must_printf("bytes %zu-%zu/%zu", parts[i].from,
                                   parts[i].from + parts[i].size - 1, size);
        reply_header(&part, "Content-Range", range, sizeof range);
        cr_assert_str_eq(range, wanted);
    }
    TEXT(behind) = must_printf("Range: bytes=%zu-", size);
    REPLY(unsatisfiable) = source(&scene, behind);
    cr_assert_eq(unsatisfiable.status, 416);
    TEXT(star) = must_printf("bytes */%zu", size);
    reply_header(&unsatisfiable, "Content-Range", range, sizeof range);
    cr_assert_str_eq(range, star);
    REPLY(nonsense) = source(&scene, "Range: lines=1-2");
    reply_is(&nonsense, 200, NULL);
    rig_end(scene.rig);
}

Test(api, the_source_is_for_those_who_have_a_key)
{
    struct scene scene = scene_claimed();
    snprintf(scene.worker.key, sizeof scene.worker.key, "wrong");
    REPLY(reply) = source(&scene, NULL);
    reply_is(&reply, 401, "unauthorized");
    rig_end(scene.rig);
}

/* ---- verify-complete ---- */

Test(api, verify_complete_checks_the_files)
{
    struct scene scene = scene_claimed();
    REPLY(before) = scene_call(&scene, "verify-complete", NULL);
    reply_is(&before, 200, NULL);
    cr_assert(!reply_bool(&before, "job_completed") && !reply_bool(&before, "all_files_present"));
    worker_put_tree(&scene.worker);
    char token[128];
    worker_token(&scene.worker, token);
    REPLY(completed) = worker_complete(&scene.worker, token);
    reply_is(&completed, 200, NULL);
    REPLY(after) = scene_call(&scene, "verify-complete", NULL);
    cr_assert(reply_bool(&after, "job_completed") && reply_bool(&after, "all_files_present"), "%s",
              after.body);
    cr_assert_str_eq(reply_text(&after, "video_status"), "ready");
    TEXT(thumbnail) = rig_path(scene.rig, "videos/film/thumbnail.jpg");
    cr_assert(unlink(thumbnail) == 0);
    REPLY(less) = scene_call(&scene, "verify-complete", NULL);
    cr_assert(reply_bool(&less, "job_completed") && !reply_bool(&less, "all_files_present"), "%s",
              less.body);
    cr_assert(strstr(less.body, "thumbnail.jpg"), "%s", less.body);
    rig_end(scene.rig);
}

/* ---- a second transcode ---- */

Test(api, a_re_transcode_starts_clean_and_is_not_acknowledged_by_the_first)
{
    struct scene scene = scene_claimed();
    worker_put_tree(&scene.worker);
    char token[128], second_token[128];
    worker_token(&scene.worker, token);
    REPLY(first) = worker_complete(&scene.worker, token);
    reply_is(&first, 200, NULL);
    inspect_change(scene.rig, "UPDATE transcoding_jobs SET completed_at=NULL, "
                              "retranscode_metadata='{\"retranscode_all\": true, "
                              "\"qualities_to_delete\": [\"360p\"]}'");
    struct worker old = scene.worker;
    REPLY(replay) = worker_complete(&old, token);
    cr_assert(replay.status == 409 || replay.status == 422, "%ld %s", replay.status, replay.body);
    cr_assert(worker_claim(&scene.worker));
    TEXT(playlist) = rig_path(scene.rig, "videos/film/360p/stream.m3u8");
    cr_assert(access(playlist, F_OK) != 0, "the files of the first transcode are still there");
    cr_assert_eq(inspect_int(scene.rig, "SELECT count(*) FROM video_qualities"), 0);
    worker_put_tree(&scene.worker);
    worker_token(&scene.worker, second_token);
    REPLY(second) = worker_complete(&scene.worker, second_token);
    reply_is(&second, 200, NULL);
    cr_assert(!reply_bool(&second, "replayed"));
    inspect_tree(scene.rig, scene.worker.job);
    rig_end(scene.rig);
}

/* ---- what every answer has ---- */

Test(api, every_answer_carries_a_request_id)
{
    struct scene scene = scene_idle();
    char id[100];
    REPLY(echoed) = worker_call(&scene.worker, "/api/worker/claim", "", "X-Request-ID: abc-123");
    reply_header(&echoed, "X-Request-ID", id, sizeof id);
    cr_assert_str_eq(id, "abc-123");
    REPLY(made) = worker_call(&scene.worker, "/api/nothing/here", NULL, NULL);
    reply_is(&made, 404, "not_found");
    reply_header(&made, "X-Request-ID", id, sizeof id);
    cr_assert_eq(strlen(id), 36, "%s", id);
    char type[64];
    reply_header(&made, "Content-Type", type, sizeof type);
    cr_assert(strncmp(type, "application/problem+json", 24) == 0, "%s", type);
    rig_end(scene.rig);
}

Test(api, health_and_metrics_need_no_key)
{
    struct scene scene = scene_idle();
    scene.worker.key[0] = '\0';
    REPLY(health) = worker_call(&scene.worker, "/api/health", NULL, NULL);
    reply_is(&health, 200, NULL);
    cr_assert(health.json, "%s", health.body);
    REPLY(metrics) = worker_call(&scene.worker, "/metrics", NULL, NULL);
    reply_is(&metrics, 200, NULL);
    cr_assert(strstr(metrics.body, "# TYPE "), "%.200s", metrics.body);
    rig_end(scene.rig);
}

Test(api, endless_headers_end)
{
    struct scene scene = scene_idle();
    size_t size = 256 * 1024;
    char *header = must_malloc(size + 1);
    memset(header, 'x', size);
    memcpy(header, "X-Long: ", 8);
    header[size] = '\0';
    REPLY(reply) = worker_call(&scene.worker, "/api/worker/claim", "", header);
    free(header);
    cr_assert(reply.status == 0 || reply.status == 431 || reply.status == 413, "%ld", reply.status);
    REPLY(fine) = worker_call(&scene.worker, "/api/worker/claim", "", NULL);
    reply_is(&fine, 200, NULL);
    rig_end(scene.rig);
}
