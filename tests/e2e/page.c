/* The page for operators and what it reads: access, headers, the overview and its long poll. */
#include "base/clock.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "scene.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

enum {
    PAGE_MAX_BYTES = 60 * 1000,
    GUESSES = 121,
    AGENT_MS = 60 * 1000,
    BROWSER_MS = 150 * 1000,
    HALF_MINUTE_US = 30 * 1000 * 1000
};

static struct reply get(const struct rig *rig, const char *path, const char *header)
{
    TEXT(url) = must_printf("http://127.0.0.1:%d%s", rig->port, path);
    return call_make(&(struct call){.url = url, .headers = {header}});
}

static const char wrong[] = "X-Admin-Secret: not-the-secret";
static const char right[] = "X-Admin-Secret: the-admin-secret-of-a-test";

static struct rig *verifier_with(const char *access)
{
    struct rig *rig = rig_new();
    if (access)
        rig_verifier_set(rig, "page.access", access);
    rig_start_verifier(rig);
    return rig;
}

static void statuses(const struct rig *rig, const char *path, long without, long with_wrong,
                     long with_right)
{
    REPLY(none) = get(rig, path, NULL);
    REPLY(bad) = get(rig, path, wrong);
    REPLY(good) = get(rig, path, right);
    cr_expect_eq(none.status, without, "%s: %ld", path, none.status);
    cr_expect_eq(bad.status, with_wrong, "%s with a wrong secret: %ld", path, bad.status);
    cr_expect_eq(good.status, with_right, "%s with the secret: %ld", path, good.status);
}

/* ---- the page itself ---- */

static void policy_of(const struct reply *page, char nonce[64])
{
    char policy[512], wanted[512];
    reply_header(page, "Content-Security-Policy", policy, sizeof policy);
    const char *at = strstr(policy, "script-src 'nonce-");
    cr_assert(at && sscanf(at, "script-src 'nonce-%32[0-9a-f]'", nonce) == 1, "%s", policy);
    snprintf(wanted, sizeof wanted,
             "default-src 'none'; script-src 'nonce-%s'; style-src 'nonce-%s'; connect-src 'self';"
             " img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
             nonce, nonce);
    cr_assert_str_eq(policy, wanted);
}

Test(page, is_one_small_file_whose_script_has_a_fresh_nonce)
{
    struct rig *rig = verifier_with(NULL);
    char first[64], second[64], value[64];
    REPLY(page) = get(rig, "/", NULL);
    REPLY(again) = get(rig, "/", NULL);
    reply_is(&page, 200, NULL);
    policy_of(&page, first);
    policy_of(&again, second);
    cr_assert_str_neq(first, second);
    cr_assert_lt(page.size, (size_t)PAGE_MAX_BYTES);
    TEXT(script) = must_printf("<script nonce=\"%s\">", first);
    TEXT(style) = must_printf("<style nonce=\"%s\">", first);
    cr_assert(strstr(page.body, script) && strstr(page.body, style));
    cr_assert_not(strstr(page.body, "{{") || strstr(page.body, "http://") ||
                  strstr(page.body, "https://"));
    reply_header(&page, "Content-Type", value, sizeof value);
    cr_assert_str_eq(value, "text/html; charset=utf-8");
    reply_header(&page, "X-Content-Type-Options", value, sizeof value);
    cr_assert_str_eq(value, "nosniff");
    reply_header(&page, "Referrer-Policy", value, sizeof value);
    cr_assert_str_eq(value, "no-referrer");
    reply_header(&page, "Cache-Control", value, sizeof value);
    cr_assert_str_eq(value, "no-store");
    rig_end(rig);
}

Test(page, can_be_read_by_everybody_by_default_but_a_wrong_secret_is_refused)
{
    struct rig *rig = verifier_with(NULL);
    statuses(rig, "/", 200, 200, 200);
    statuses(rig, "/api/overview", 200, 403, 200);
    rig_end(rig);
}

Test(page, needs_the_secret_where_a_login_is_wanted)
{
    struct rig *rig = verifier_with("\"login\"");
    statuses(rig, "/", 200, 200, 200);
    statuses(rig, "/api/overview", 401, 403, 200);
    rig_end(rig);
}

Test(page, is_not_there_where_it_is_off)
{
    struct rig *rig = verifier_with("\"off\"");
    statuses(rig, "/", 404, 404, 404);
    statuses(rig, "/api/overview", 404, 404, 404);
    rig_end(rig);
}

Test(page, guesses_at_the_secret_are_limited)
{
    struct rig *rig = verifier_with(NULL);
    for (int i = 1; i < GUESSES; i++) {
        REPLY(guess) = get(rig, "/api/overview", wrong);
        reply_is(&guess, 403, "forbidden");
    }
    REPLY(last) = get(rig, "/api/overview", wrong);
    reply_is(&last, 429, "rate_limited");
    REPLY(good) = get(rig, "/api/overview", right);
    reply_is(&good, 200, NULL);
    rig_end(rig);
}

/* ---- the overview ---- */

static const struct json *only(const struct reply *reply, const char *list)
{
    const struct json *array = json_get(reply->json, list);
    cr_assert(array && json_count(array) == 1, "%s: %s", list, reply->body);
    return json_at(array, 0);
}

static void has_text(const struct json *object, const char *key, const char *wanted)
{
    const char *text = NULL;
    json_get_text(object, key, 512, &text);
    cr_assert(text && strcmp(text, wanted) == 0, "%s: %s", key, text ? text : "null");
}

static void has_int(const struct json *object, const char *key, int64_t wanted)
{
    int64_t number = -1;
    json_get_int(object, key, 0, INT64_MAX, &number);
    cr_assert_eq(number, wanted, "%s: %lld", key, (long long)number);
}

static const char progress[] =
    "{\"current_step\":\"transcode\",\"progress_percent\":42,\"quality_progress\":"
    "[{\"name\":\"360p\",\"status\":\"in_progress\",\"progress\":80}]}";

Test(page, the_overview_has_the_running_job_with_its_progress)
{
    struct scene scene = scene_claimed();
    REPLY(reported) = scene_call(&scene, "progress", progress);
    reply_is(&reported, 200, NULL);
    REPLY(overview) = get(scene.rig, "/api/overview", NULL);
    reply_is(&overview, 200, NULL);
    const struct json *job = only(&overview, "running");
    has_int(job, "job_id", scene.job);
    has_text(job, "current_step", "transcode");
    has_text(job, "last_worker_name", "alice");
    has_int(job, "progress_percent", 42);
    const struct json *quality = json_at(json_get(job, "quality_progress"), 0);
    has_text(quality, "name", "360p");
    has_int(quality, "progress", 80);
    has_int(json_get(overview.json, "jobs"), "processing", 1);
    cr_assert(reply_bool(&overview, "admin_enabled"));
    rig_end(scene.rig);
}

Test(page, the_overview_has_what_waits_what_failed_and_what_was_completed)
{
    struct scene scene = scene_uploaded();
    REPLY(done) = worker_complete(&scene.worker, scene.token);
    reply_is(&done, 200, NULL);
    REPLY(again) = worker_complete(&scene.worker, scene.token);
    int64_t failed = rig_add_job(scene.rig, media_clip(MEDIA_TINY), "failed");
    REPLY(claim) = worker_try_claim(&scene.worker, failed);
    TEXT(path) = must_printf("/api/worker/%lld/fail", (long long)failed);
    REPLY(failure) = worker_call(&scene.worker, path,
                                 "{\"error_message\":\"no video stream\",\"retry\":false}", NULL);
    reply_is(&failure, 200, NULL);
    int64_t waiting = rig_add_job(scene.rig, media_clip(MEDIA_TINY), "waiting");
    REPLY(overview) = get(scene.rig, "/api/overview", NULL);
    has_int(only(&overview, "waiting"), "job_id", waiting);
    has_int(only(&overview, "failed"), "job_id", failed);
    has_text(only(&overview, "failed"), "last_error", "no video stream");
    has_int(only(&overview, "recent_completions"), "job_id", scene.job);
    has_text(only(&overview, "recent_completions"), "worker", "alice");
    rig_end(scene.rig);
}

static const struct json *worker_named(const struct reply *overview, const char *name)
{
    const struct json *at = json_first(json_get(overview->json, "workers"));
    for (; at; at = json_next(at)) {
        const char *text = NULL;
        json_get_text(at, "worker_name", 100, &text);
        if (text && strcmp(text, name) == 0)
            return at;
    }
    cr_assert_fail("no worker %s: %s", name, overview->body);
    return NULL;
}

/* A worker writes its metadata: what has another type than it should have is left out. */
Test(page, the_overview_has_what_a_worker_reports_of_itself)
{
    struct scene scene = scene_idle();
    REPLY(beat) = worker_call(
        &scene.worker, "/api/worker/heartbeat",
        "{\"status\":\"idle\",\"metadata\":{\"slots\":2,\"slots_used\":1,\"encoder\":\"libx264\","
        "\"disk_free_bytes\":-1,\"agent_version\":{\"a\":1},\"waiting_reason\":\"the disk is "
        "nearly full\"}}",
        NULL);
    reply_is(&beat, 200, NULL);
    REPLY(overview) = get(scene.rig, "/api/overview", NULL);
    const struct json *worker = worker_named(&overview, "alice");
    has_text(worker, "status", "idle");
    has_text(worker, "encoder", "libx264");
    has_text(worker, "waiting_reason", "the disk is nearly full");
    has_int(worker, "slots", 2);
    has_int(worker, "slots_used", 1);
    cr_assert_not(json_get(worker, "disk_free_bytes") || json_get(worker, "agent_version"));
    cr_assert(json_get(worker, "last_heartbeat"));
    rig_end(scene.rig);
}

Test(page, the_overview_has_what_our_agent_reports_of_itself, .timeout = 120)
{
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    rig_start_agent(rig);
    RUN(drained) = rig_agent(rig, (const char *const[]){"drain", NULL});
    cr_assert_eq(drained.status, 0, "%s", drained.err);
    inspect_wait_int(rig, 1, AGENT_MS,
                     "SELECT count(*) FROM workers WHERE json_extract(metadata, '$.waiting_reason')"
                     " IS NOT NULL AND json_extract(metadata, '$.disk_free_bytes') > 0");
    REPLY(overview) = get(rig, "/api/overview", NULL);
    const struct json *worker = worker_named(&overview, "node");
    has_text(worker, "waiting_reason", "drained by an operator");
    has_text(worker, "agent_version", TAILSLATE_VERSION);
    has_int(worker, "slots_used", 0);
    cr_assert(json_get(worker, "slots") && json_get(worker, "disk_free_bytes"));
    rig_end(rig);
}

/* ---- the long poll ---- */

struct poll {
    const struct rig *rig;
    pthread_t thread;
    char path[128];
    struct reply reply;
};

static void *poll_overview(void *ctx)
{
    struct poll *poll = ctx;
    poll->reply = get(poll->rig, poll->path, NULL);
    return NULL;
}

/* Waits for what comes after the version of this moment. */
static void start_poll(struct poll *poll, const struct rig *rig)
{
    REPLY(first) = get(rig, "/api/overview", NULL);
    *poll = (struct poll){.rig = rig};
    snprintf(poll->path, sizeof poll->path, "/api/overview?wait=25&version=%s",
             reply_text(&first, "etag"));
    cr_assert_eq(pthread_create(&poll->thread, NULL, poll_overview, poll), 0);
}

static struct rig *without_sweeps(void)
{
    struct rig *rig = rig_new();
    rig_verifier_set(rig, "sweeper.mode", "\"off\"");
    rig_start_verifier(rig);
    return rig;
}

static int64_t half_minute(const struct reply *overview)
{
    const char *now = NULL;
    int64_t now_us = 0;
    json_get_text(json_get(overview->json, "fleet"), "now", WALL_TEXT_BYTES, &now);
    cr_assert(now && wall_parse(now, &now_us), "%s", overview->body);
    return now_us / HALF_MINUTE_US;
}

Test(page, an_overview_that_has_not_changed_is_not_sent_again)
{
    struct rig *rig = without_sweeps();
    REPLY(first) = get(rig, "/api/overview", NULL);
    TEXT(path) = must_printf("/api/overview?wait=1&version=%s", reply_text(&first, "etag"));
    REPLY(second) = get(rig, path, NULL);
    if (second.status == 200) { /* each half minute is a version of its own */
        cr_assert_neq(half_minute(&first), half_minute(&second), "%s", second.body);
    } else {
        reply_is(&second, 304, NULL);
        cr_assert_eq(second.size, (size_t)0);
        cr_assert_geq(second.took_ms, 900);
    }
    REPLY(bad) = get(rig, "/api/overview?wait=26", NULL);
    reply_is(&bad, 422, "invalid_field");
    rig_end(rig);
}

Test(page, a_poll_is_answered_as_soon_as_something_happens)
{
    struct rig *rig = without_sweeps();
    struct poll poll;
    start_poll(&poll, rig);
    rig_add_job(rig, media_clip(MEDIA_TINY), "video");
    pthread_join(poll.thread, NULL);
    reply_is(&poll.reply, 200, NULL);
    cr_assert_lt(poll.reply.took_ms, 15 * 1000);
    has_int(json_get(poll.reply.json, "jobs"), "pending", 1);
    reply_fini(&poll.reply);
    rig_end(rig);
}

/* A poll that waits must not hold the shutdown. */
Test(page, a_poll_ends_when_the_server_stops)
{
    struct rig *rig = without_sweeps();
    struct poll poll;
    start_poll(&poll, rig);
    cr_assert_eq(rig_stop_verifier(rig), 0);
    pthread_join(poll.thread, NULL);
    cr_assert_lt(poll.reply.took_ms, 15 * 1000);
    reply_fini(&poll.reply);
    rig_end(rig);
}

/* ---- in a browser ---- */

static int64_t add_titled(struct rig *rig, const char *title)
{
    RUN(run) = rig_verifier(
        rig, (const char *const[]){"job", "add", media_clip(MEDIA_TINY), "--title", title, NULL});
    cr_assert_eq(run.status, 0, "%s", run.err);
    return inspect_int(rig, "SELECT max(id) FROM transcoding_jobs");
}

static void fail_job(const struct scene *scene, int64_t job)
{
    TEXT(path) = must_printf("/api/worker/%lld/fail", (long long)job);
    REPLY(failure) = worker_call(&scene->worker, path,
                                 "{\"error_message\":\"the source has no video stream\\nmoov atom "
                                 "not found\",\"retry\":false}",
                                 NULL);
    reply_is(&failure, 200, NULL);
}

/* One job completed, one failed with a hostile title, one waiting, one running at 42 %. No worker
 * of the rig reports: there is a problem to show. */
static struct scene busy_scene(void)
{
    struct scene scene = {.rig = rig_new()};
    rig_verifier_set(scene.rig, "sweeper.mode", "\"off\"");
    rig_verifier_set(scene.rig, "workers.offline_minutes", "0.02");
    rig_start_verifier(scene.rig);
    scene.worker = worker_new(scene.rig, "alice");
    add_titled(scene.rig, "Interview with the pilot");
    cr_assert(worker_claim(&scene.worker));
    worker_token(&scene.worker, scene.token);
    worker_put_tree(&scene.worker);
    REPLY(done) = worker_complete(&scene.worker, scene.token);
    reply_is(&done, 200, NULL);
    add_titled(scene.rig, "<img src=x onerror=window.hacked=1>");
    cr_assert(worker_claim(&scene.worker));
    fail_job(&scene, scene.worker.job);
    scene.job = add_titled(scene.rig, "Harbor at dawn");
    cr_assert(worker_claim(&scene.worker));
    add_titled(scene.rig, "Evening news");
    REPLY(reported) = scene_call(&scene, "progress", progress);
    reply_is(&reported, 200, NULL);
    return scene;
}

static void in_a_browser(const struct rig *rig, const char *const environment[])
{
    TEXT(url) = must_printf("http://127.0.0.1:%d/", rig->port);
    RUN(run) = run_program(
        (const char *const[]){"node", TAILSLATE_SOURCE_DIR "/tests/browser/page.mjs", url, NULL},
        environment, BROWSER_MS);
    cr_assert_eq(run.status, 0, "%s%s", run.out, run.err);
}

Test(page, works_in_a_browser, .timeout = 180)
{
    struct scene scene = busy_scene();
    TEXT(key) = must_printf("PAGE_KEY=%s", scene.worker.key);
    TEXT(job) = must_printf("PAGE_JOB=%lld", (long long)scene.job);
    in_a_browser(scene.rig,
                 (const char *const[]){"PAGE_SECRET=the-admin-secret-of-a-test", key, job, NULL});
    rig_end(scene.rig);
}

Test(page, asks_for_a_login_where_one_is_needed, .timeout = 180)
{
    struct rig *rig = verifier_with("\"login\"");
    in_a_browser(rig, (const char *const[]){"PAGE_SECRET=the-admin-secret-of-a-test",
                                            "PAGE_ACCESS=login", NULL});
    rig_end(rig);
}
