/* The life of a job after trouble, as an operator meets it: the commands, the admin routes, and a
 * node that is at work on what is cancelled. */
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "scene.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CANCELLED_MS = 40 * 1000 };

static struct run command(struct rig *rig, const char *name, const char *first, const char *second,
                          const char *third)
{
    return rig_verifier(rig, (const char *[]){"job", name, first, second, third, NULL});
}

static void does(struct rig *rig, const char *name, const char *first, const char *second,
                 const char *third, const char *said)
{
    RUN(run) = command(rig, name, first, second, third);
    cr_assert_eq(run.status, 0, "%s: %d %s", name, run.status, run.err);
    cr_assert(strstr(run.err, said), "%s: %s", name, run.err);
}

static void refuses(struct rig *rig, const char *name, const char *first, const char *second,
                    const char *third, int status, const char *said)
{
    RUN(run) = command(rig, name, first, second, third);
    cr_assert_eq(run.status, status, "%s: %d %s", name, run.status, run.err);
    cr_assert(strstr(run.err, said), "%s: %s", name, run.err);
}

static void fail_it(const struct scene *scene)
{
    REPLY(failed) = scene_call(scene, "fail",
                               "{\"error_message\":\"the source is broken\",\"retry\":false}");
    reply_is(&failed, 200, NULL);
}

/* ---- the commands ---- */

Test(jobs, a_failed_job_is_shown_with_its_reason_retried_and_claimed_again)
{
    struct scene scene = scene_claimed();
    fail_it(&scene);
    RUN(list) = command(scene.rig, "list", "--failed", NULL, NULL);
    cr_assert(strstr(list.out, "the source is broken"), "%s", list.out);
    does(scene.rig, "retry", "1", NULL, NULL, "waits for a worker again");
    refuses(scene.rig, "retry", "1", NULL, NULL, 65, "it has not failed");
    refuses(scene.rig, "retry", "7", NULL, NULL, 66, "no job 7");
    cr_assert(worker_claim(&scene.worker));
    cr_expect_eq(scene.worker.epoch, 2);
    fail_it(&scene);
    does(scene.rig, "retry", "--failed", NULL, NULL, "1 failed job waits");
    cr_assert(worker_claim(&scene.worker));
    rig_end(scene.rig);
}

Test(jobs, a_cancelled_one_is_gone_for_its_holder_and_deleted_with_its_files)
{
    struct scene scene = scene_uploaded();
    refuses(scene.rig, "delete", "1", NULL, NULL, 65, "cancel it first");
    does(scene.rig, "cancel", "1", NULL, NULL, "worker alice stops it");
    REPLY(late) = worker_complete(&scene.worker, scene.token);
    reply_is(&late, 410, "job_gone");
    refuses(scene.rig, "cancel", "1", NULL, NULL, 65, "cancelled already");
    TEXT(output) = rig_path(scene.rig, "videos/film");
    TEXT(source) = rig_path(scene.rig, "uploads/1.mp4");
    cr_assert(access(output, F_OK) == 0 && access(source, F_OK) == 0);
    does(scene.rig, "delete", "1", "--files", NULL, "in the trash");
    cr_expect(access(output, F_OK) != 0 && access(source, F_OK) != 0);
    REPLY(later) = worker_complete(&scene.worker, scene.token);
    reply_is(&later, 404, "job_not_found");
    cr_expect_eq(rig_add_job(scene.rig, media_clip(MEDIA_TINY), "film"), 2);
    rig_end(scene.rig);
}

Test(jobs, old_output_never_becomes_part_of_a_new_video)
{
    struct scene scene = scene_uploaded();
    does(scene.rig, "cancel", "1", NULL, NULL, "cancelled");
    does(scene.rig, "delete", "1", NULL, NULL, "where they were");
    RUN(same) = rig_verifier(
        scene.rig, (const char *[]){"job", "add", media_clip(MEDIA_TINY), "--slug", "film", NULL});
    cr_expect_neq(same.status, 0);
    cr_expect(strstr(same.err, "directory film"), "%s", same.err);
    RUN(other) = rig_verifier(
        scene.rig, (const char *[]){"job", "add", media_clip(MEDIA_TINY), "--title", "Film", NULL});
    cr_expect(strstr(other.err, "slug film-2"), "%s", other.err);
    rig_end(scene.rig);
}

/* In words for people; for programs, the state of the job beside that of the video. */
static void shows_that_it_waits(struct rig *rig)
{
    RUN(list) = command(rig, "list", NULL, NULL, NULL);
    cr_expect(strstr(list.out, "waiting (re-transcode)"), "%s", list.out);
    RUN(show) = command(rig, "show", "1", NULL, NULL);
    cr_expect(strstr(show.out, "status      waiting (re-transcode)"), "%s", show.out);
    RUN(json) = command(rig, "show", "1", "--json", NULL);
    cr_expect(strstr(json.out, "\"status\":\t\"ready\"") &&
                  strstr(json.out, "\"state\":\t\"waiting\""),
              "%s", json.out);
    REPLY(overview) = admin_call(rig, "/api/overview", NULL);
    cr_expect(strstr(overview.body, "\"status\":\"ready\",\"state\":\"waiting\""), "%s",
              overview.body);
}

Test(jobs, a_finished_video_is_transcoded_again_when_it_is_asked_for)
{
    struct scene scene = scene_uploaded();
    REPLY(done) = worker_complete(&scene.worker, scene.token);
    reply_is(&done, 200, NULL);
    refuses(scene.rig, "retry", "1", NULL, NULL, 65, "use retranscode");
    refuses(scene.rig, "retranscode", "1", "--quality", "999p", 65, "separated by commas");
    does(scene.rig, "retranscode", "1", "--quality", "360p", "plays as before");
    TEXT(playlist) = rig_path(scene.rig, "videos/film/360p/stream.m3u8");
    cr_expect(access(playlist, F_OK) == 0, "nobody has claimed it yet");
    shows_that_it_waits(scene.rig);
    REPLY(replay) = worker_complete(&scene.worker, scene.token);
    reply_is(&replay, 409, "claim_lost");
    cr_assert(worker_claim(&scene.worker));
    cr_expect(access(playlist, F_OK) != 0);
    rig_end(scene.rig);
}

Test(jobs, priority_decides_which_one_is_claimed_first)
{
    struct scene scene = scene_idle();
    rig_add_job(scene.rig, media_clip(MEDIA_TINY), "one");
    rig_add_job(scene.rig, media_clip(MEDIA_TINY), "two");
    does(scene.rig, "priority", "2", "--priority", "5", "has priority 5");
    does(scene.rig, "priority", "1", "--priority", "-5", "has priority -5");
    refuses(scene.rig, "priority", "1", "--priority", "1001", 65, "-1000 to 1000");
    RUN(third) = rig_verifier(
        scene.rig, (const char *[]){"job", "add", media_clip(MEDIA_TINY), "--priority", "9", NULL});
    cr_assert_eq(third.status, 0, "%s", third.err);
    for (int64_t job = 3; job >= 1; job--) {
        cr_assert(worker_claim(&scene.worker));
        cr_expect_eq(scene.worker.job, job);
    }
    rig_end(scene.rig);
}

/* ---- the list ---- */

Test(jobs, the_list_says_what_it_has_cut_and_filters_what_is_asked_for)
{
    struct scene scene = scene_claimed();
    fail_it(&scene);
    for (int i = 0; i < 3; i++)
        rig_add_job(scene.rig, media_clip(MEDIA_TINY), NULL);
    RUN(cut) = command(scene.rig, "list", "--limit", "2", NULL);
    cr_expect(strstr(cut.err, "showing 2 of 4 jobs"), "%s", cut.err);
    cr_expect_null(strstr(cut.out, "failed"), "the newest are shown: %s", cut.out);
    RUN(whole) = command(scene.rig, "list", NULL, NULL, NULL);
    cr_expect_str_eq(whole.err, "");
    RUN(waiting) = command(scene.rig, "list", "--status", "pending", "--json");
    cr_expect_null(strstr(waiting.out, "failed"), "%s", waiting.out);
    RUN(hers) = command(scene.rig, "list", "--worker", "alice", NULL);
    cr_expect(strstr(hers.out, "failed") && !strstr(hers.out, "pending"), "%s", hers.out);
    RUN(recent) = command(scene.rig, "list", "--since", "1h", "--json");
    cr_expect(strstr(recent.out, "\"job_id\":\t1"), "%s", recent.out);
    RUN(none) = command(scene.rig, "list", "--since", "2999-01-01", "--json");
    cr_expect_str_eq(none.out, "[]\n");
    refuses(scene.rig, "list", "--since", "yesterday", NULL, 65, "--since");
    refuses(scene.rig, "list", "--status", "done", NULL, 65, "--status");
    refuses(scene.rig, "list", "--limit", "0", NULL, 65, "--limit");
    rig_end(scene.rig);
}

/* The longest line, in bytes of a text that has one for each column. */
static size_t widest(const char *text)
{
    size_t widest = 0;
    for (const char *at = text; *at; at += strcspn(at, "\n"), at += *at == '\n')
        if (strcspn(at, "\n") > widest)
            widest = strcspn(at, "\n");
    return widest;
}

Test(jobs, a_terminal_of_80_columns_is_not_wrapped_and_no_name_moves_its_cursor)
{
    struct scene scene = scene_claimed();
    fail_it(&scene);
    inspect_change(scene.rig, "UPDATE transcoding_jobs SET last_error = 'bad \x1b[2J source: a very"
                              " long sentence that goes on and on and on, beyond every edge'"
                              " || char(10) || 'second line'");
    inspect_change(scene.rig, "UPDATE videos SET title = 'a title \x1b[31m that is longer than "
                              "what is left of eighty columns'");
    rig_set_env(scene.rig, "COLUMNS", "80");
    RUN(list) = command(scene.rig, "list", NULL, NULL, NULL);
    cr_expect_leq(widest(list.out), 82, "an ellipsis has three bytes: %s", list.out);
    cr_expect_null(strchr(list.out, 0x1b), "%s", list.out);
    cr_expect(strstr(list.out, "bad ?[2J source"), "%s", list.out);
    RUN(show) = command(scene.rig, "show", "1", NULL, NULL);
    cr_expect_null(strchr(show.out, 0x1b), "%s", show.out);
    cr_expect(strstr(show.out, "\n            second line\n"), "%s", show.out);
    rig_end(scene.rig);
}

/* ---- the admin routes ---- */

static int64_t retry_failed(const struct rig *rig, int64_t after, int64_t retried, int64_t remain)
{
    TEXT(path) = must_printf("/api/jobs/retry?status=failed&after=%lld", (long long)after);
    REPLY(reply) = admin_call(rig, path, "");
    reply_is(&reply, 200, NULL);
    cr_expect_eq(reply_int(&reply, "retried"), retried, "%s", reply.body);
    cr_expect_eq(reply_int(&reply, "remaining"), remain, "%s", reply.body);
    return reply_int(&reply, "after");
}

Test(jobs, all_that_failed_are_retried_a_hundred_with_each_call)
{
    struct scene scene = scene_claimed();
    fail_it(&scene);
    inspect_change(scene.rig,
                   "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 120)"
                   " INSERT INTO videos (id, title, slug, status, created_at)"
                   " SELECT i, i, 's' || i, 'failed', '2026-01-03T16:00:00.000000+00:00' FROM n");
    inspect_change(scene.rig, "INSERT INTO transcoding_jobs (id, video_id, completed_at)"
                              " SELECT id, id, created_at FROM videos WHERE id > 1");
    inspect_change(scene.rig, "INSERT INTO job_queue (job_id, cancelled) VALUES (7, 1)");
    REPLY(vague) = admin_call(scene.rig, "/api/jobs/retry", "");
    reply_is(&vague, 422, "invalid_field");
    int64_t after = retry_failed(scene.rig, 0, 100, 19);
    cr_expect_eq(after, 101, "the cancelled one is left out");
    after = retry_failed(scene.rig, after, 19, 0);
    retry_failed(scene.rig, after, 0, 0);
    cr_expect_eq(inspect_int(scene.rig, "SELECT count(*) FROM videos WHERE status = 'failed'"), 1);
    rig_end(scene.rig);
}

static struct reply delete_call(const struct rig *rig, const char *path)
{
    TEXT(url) = must_printf("http://127.0.0.1:%d%s", rig->port, path);
    return call_make(&(struct call){
        .method = "DELETE", .url = url, .headers = {"X-Admin-Secret: the-admin-secret-of-a-test"}});
}

static void order(const struct rig *rig, const char *what, const char *body, long status,
                  const char *code)
{
    TEXT(path) = must_printf("/api/jobs/1/%s", what);
    REPLY(reply) = admin_call(rig, path, body);
    reply_is(&reply, status, code);
}

Test(jobs, every_admin_route_does_what_its_verb_does)
{
    struct scene scene = scene_claimed();
    struct rig *rig = scene.rig;
    order(rig, "retry", "", 409, "wrong_state");
    order(rig, "release", "", 200, NULL);
    order(rig, "release", "", 409, "wrong_state");
    order(rig, "priority", "{\"priority\":7}", 200, NULL);
    order(rig, "priority", "{\"priority\":1001}", 422, "invalid_field");
    order(rig, "priority", "{}", 422, "invalid_field");
    order(rig, "retranscode", "{\"qualities\":[\"9p\"]}", 422, "invalid_field");
    order(rig, "cancel", "", 200, NULL);
    order(rig, "cancel", "", 409, "wrong_state");
    order(rig, "retry", "", 200, NULL);
    cr_assert(worker_claim(&scene.worker));
    worker_put_tree(&scene.worker);
    worker_token(&scene.worker, scene.token);
    REPLY(done) = worker_complete(&scene.worker, scene.token);
    reply_is(&done, 200, NULL);
    order(rig, "retranscode", "", 200, NULL);
    order(rig, "cancel", "", 200, NULL);
    REPLY(one) = admin_call(rig, "/api/jobs/1", NULL);
    reply_is(&one, 200, NULL);
    cr_expect_str_eq(reply_text(&one, "status"), "ready");
    cr_expect_eq(reply_int(&one, "priority"), 0);
    REPLY(gone) = delete_call(rig, "/api/jobs/1?files=true");
    reply_is(&gone, 200, NULL);
    REPLY(again) = delete_call(rig, "/api/jobs/1");
    reply_is(&again, 404, "job_not_found");
    REPLY(none) = admin_call(rig, "/api/jobs/1", NULL);
    reply_is(&none, 404, "job_not_found");
    order(rig, "cancel", "", 404, "job_not_found");
    rig_end(rig);
}

static void listed(const struct rig *rig, const char *query, int count, bool more)
{
    TEXT(path) = must_printf("/api/jobs%s", query);
    REPLY(reply) = admin_call(rig, path, NULL);
    reply_is(&reply, 200, NULL);
    cr_expect_eq(json_count(json_get(reply.json, "jobs")), count, "%s: %s", query, reply.body);
    cr_expect_eq(reply_bool(&reply, "more"), more, "%s", query);
}

Test(jobs, the_list_of_the_api_is_filtered_paged_and_closed_without_the_secret)
{
    struct scene scene = scene_claimed();
    REPLY(progress) = scene_call(&scene, "progress",
                                 "{\"current_step\":\"transcode\",\"progress_percent\":50,"
                                 "\"quality_progress\":[{\"name\":\"360p\",\"status\":"
                                 "\"in_progress\",\"progress\":40}]}");
    reply_is(&progress, 200, NULL);
    rig_add_job(scene.rig, media_clip(MEDIA_TINY), NULL);
    rig_add_job(scene.rig, media_clip(MEDIA_TINY), NULL);
    listed(scene.rig, "", 3, false);
    listed(scene.rig, "?limit=2", 2, true);
    listed(scene.rig, "?limit=2&before=2", 1, false);
    listed(scene.rig, "?status=processing", 1, false);
    listed(scene.rig, "?status=failed", 0, false);
    listed(scene.rig, "?worker=alice", 1, false);
    listed(scene.rig, "?since=2999-01-01T00:00:00Z", 0, false);
    listed(scene.rig, "?since=2020-01-01T00:00:00Z", 3, false);
    static const char *const wrong[] = {"?limit=0", "?limit=1001", "?before=x", "?status=done",
                                        "?since=now"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        TEXT(path) = must_printf("/api/jobs%s", wrong[i]);
        REPLY(reply) = admin_call(scene.rig, path, NULL);
        reply_is(&reply, 422, "invalid_field");
    }
    REPLY(held) = admin_call(scene.rig, "/api/jobs?status=processing", NULL);
    const struct json *job = json_at(json_get(held.json, "jobs"), 0);
    int64_t percent = 0;
    json_get_int(json_at(json_get(job, "quality_progress"), 0), "progress", 0, 100, &percent);
    cr_expect_eq(percent, 40, "%s", held.body);
    TEXT(url) = must_printf("http://127.0.0.1:%d/api/jobs", scene.rig->port);
    REPLY(closed) = call_make(&(struct call){.url = url});
    reply_is(&closed, 401, "unauthorized");
    rig_end(scene.rig);
}

/* ---- a node that is at work on it ---- */

static struct rig *node_with_a_sleeper(void)
{
    struct rig *rig = rig_new();
    TEXT(text) = must_printf("[ -e '%s/slept' ] && exec cp -r '%s'/. \"$1\"\n"
                             "echo $$ >'%s/begun'; mv '%s/begun' '%s/slept'; exec sleep 7777",
                             rig->dir, media_tree(), rig->dir, rig->dir, rig->dir);
    TEXT(script) = rig_script(rig, "transcoder", text);
    TEXT(command) = must_printf("\"%s {output}\"", script);
    rig_agent_set(rig, "transcode.recipe", "\"command\"");
    rig_agent_set(rig, "transcode.command", command);
    return rig;
}

Test(jobs, the_node_stops_what_is_cancelled_drops_it_and_goes_on, .timeout = 180)
{
    struct rig *rig = node_with_a_sleeper();
    rig_begin(rig, media_clip(MEDIA_NORMAL));
    TEXT(slept) = rig_path(rig, "slept");
    cr_assert(inspect_wait_file(slept, true, RIG_JOB_MS));
    rig_expect(rig, "event=step.transcoder_started", RIG_JOB_MS, NULL);
    TEXT(number) = file_read(slept);
    pid_t pid = (pid_t)strtol(number, NULL, 10);
    cr_assert(pid > 0 && inspect_lives(pid), "%s", number);
    int64_t next = rig_add_job(rig, media_clip(MEDIA_NORMAL), "next");
    does(rig, "cancel", "1", NULL, NULL, "worker node stops it");
    rig_expect(rig, "event=step.claim_lost code=job_gone", CANCELLED_MS, NULL);
    inspect_wait_end(pid);
    rig_wait_final(rig, next);
    inspect_job_completed_once(rig, next);
    inspect_wait_spool(rig, "spool", 0, RIG_JOB_MS);
    cr_expect_eq(inspect_int(rig, "SELECT attempt_number FROM transcoding_jobs WHERE id = 1"), 1);
    cr_expect_eq(inspect_int(rig, "SELECT COUNT(*) FROM failures"), 0);
    does(rig, "retry", "1", NULL, NULL, "waits");
    rig_wait_final(rig, 1);
    inspect_wait_int(rig, 2, RIG_JOB_MS, "SELECT COUNT(*) FROM completions");
    rig_end(rig);
}

/* ---- workers ---- */

Test(jobs, a_name_is_given_to_one_worker_and_a_pipe_gets_nothing_but_its_key)
{
    struct rig *rig = rig_new();
    RUN(taken) = rig_verifier(rig, (const char *[]){"worker", "add", "node", NULL});
    cr_expect_eq(taken.status, 65, "%d", taken.status);
    cr_expect(strstr(taken.err, "a worker node already"), "%s", taken.err);
    RUN(piped) = rig_verifier(rig,
                              (const char *[]){"worker", "add", "two", "--key-file", "-", NULL});
    cr_assert_eq(piped.status, 0, "%s", piped.err);
    cr_expect_eq(strlen(piped.out), 44, "a key and a newline: %s", piped.out);
    cr_expect(strstr(piped.err, "two ("), "%s", piped.err);
    RUN(unknown) = rig_verifier(rig, (const char *[]){"worker", "revoke", "three", NULL});
    cr_expect_eq(unknown.status, 66, "%s", unknown.err);
    RUN(revoked) = rig_verifier(rig, (const char *[]){"worker", "revoke", "two", NULL});
    cr_assert_eq(revoked.status, 0, "%s", revoked.err);
    RUN(again) = rig_verifier(rig, (const char *[]){"worker", "add", "two", NULL});
    cr_assert_eq(again.status, 0, "the name of a revoked worker is free: %s", again.err);
    RUN(rotated) = rig_verifier(rig, (const char *[]){"worker", "rotate", "two", NULL});
    cr_assert_eq(rotated.status, 0, "%s", rotated.err);
    rig_end(rig);
}

Test(jobs, a_worker_that_is_busy_is_revoked_with_a_warning)
{
    struct scene scene = scene_claimed();
    RUN(revoked) = rig_verifier(scene.rig, (const char *[]){"worker", "revoke", "alice", NULL});
    cr_assert_eq(revoked.status, 0, "%s", revoked.err);
    cr_expect(strstr(revoked.err, "it holds 1 job;"), "%s", revoked.err);
    rig_end(scene.rig);
}
