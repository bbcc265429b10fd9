/* Who may call: keys good, bad and revoked, and the admin's secret. */
#include "look.h"
#include "media.h"
#include "worker.h"

#include "tailslate/cleanup.h"
#include "tailslate/error.h"

#include <criterion/criterion.h>
#include <string.h>

enum { HEARD_MS = 20 * 1000 };

static const char *const calls[][2] = {
    {"/api/worker/heartbeat", "{\"status\":\"idle\"}"},
    {"/api/worker/claim", ""},
    {"/api/worker/1/progress", "{}"},
    {"/api/worker/1/complete", "{}"},
    {"/api/worker/1/fail", "{\"error_message\":\"x\"}"},
    {"/api/worker/1/verify-complete", NULL},
    {"/api/worker/source/1", NULL},
    {"/api/worker/upload/1/segments/status?quality=360p", NULL},
    {"/api/worker/upload/1/segment/finalize", "{}"},
};
enum { CALL_COUNT = sizeof calls / sizeof *calls };

Test(worker_auth, no_call_is_answered_without_a_good_key)
{
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    rig_add_job(rig, media_clip(MEDIA_TINY), "film");
    struct worker nobody = {.rig = rig};
    for (int i = 0; i < CALL_COUNT; i++) {
        nobody.key[0] = '\0';
        REPLY(none) = worker_call(&nobody, calls[i][0], calls[i][1], NULL);
        reply_is(&none, 401, "unauthorized");
        snprintf(nobody.key, sizeof nobody.key, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        REPLY(bad) = worker_call(&nobody, calls[i][0], calls[i][1], NULL);
        reply_is(&bad, 401, "unauthorized");
    }
    rig_end(rig);
}

Test(worker_auth, a_revoked_worker_is_out_at_once)
{
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    struct worker alice = worker_new(rig, "alice");
    REPLY(before) = worker_try_claim(&alice, 0);
    reply_is(&before, 200, NULL);
    char id[64];
    look_text(rig, id, sizeof id, "SELECT worker_id FROM workers WHERE worker_name='alice'");
    RUN(run) = rig_verifier(rig, (const char *[]){"worker", "revoke", id, NULL});
    cr_assert_eq(run.status, 0, "%s", run.err);
    REPLY(after) = worker_try_claim(&alice, 0);
    cr_assert((after.status == 401 && strcmp(reply_text(&after, "code"), "unauthorized") == 0) ||
                  (after.status == 403 && strcmp(reply_text(&after, "code"), "forbidden") == 0),
              "%ld %s", after.status, after.body);
    rig_end(rig);
}

Test(worker_auth, an_admin_registers_lists_and_revokes)
{
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    REPLY(made) = admin_call(rig, "/api/worker/register",
                             "{\"worker_name\":\"carol\",\"worker_type\":\"remote\"}");
    reply_is(&made, 200, NULL);
    cr_assert_eq(strlen(reply_text(&made, "worker_id")), 36);
    cr_assert_geq(strlen(reply_text(&made, "api_key")), 43);
    struct worker carol = {.rig = rig};
    snprintf(carol.key, sizeof carol.key, "%s", reply_text(&made, "api_key"));
    REPLY(claim) = worker_try_claim(&carol, 0);
    reply_is(&claim, 200, NULL);
    REPLY(list) = admin_call(rig, "/api/workers", NULL);
    reply_is(&list, 200, NULL);
    cr_assert(strstr(list.body, "carol") && !strstr(list.body, carol.key), "%s", list.body);
    TEXT(path) = must_printf("/api/workers/%s/revoke", reply_text(&made, "worker_id"));
    REPLY(revoked) = admin_call(rig, path, "");
    reply_is(&revoked, 200, NULL);
    REPLY(after) = worker_try_claim(&carol, 0);
    cr_assert(after.status == 401 || after.status == 403, "%ld", after.status);
    rig_end(rig);
}

Test(worker_auth, without_the_admins_secret_401_with_a_wrong_one_403)
{
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    TEXT(url) = must_printf("http://127.0.0.1:%d/api/worker/register", rig->port);
    struct call call = {.url = url, .body = "{\"worker_name\":\"eve\"}"};
    REPLY(none) = call_make(&call);
    reply_is(&none, 401, "unauthorized");
    call.headers[0] = "X-Admin-Secret: guess";
    REPLY(wrong) = call_make(&call);
    reply_is(&wrong, 403, "forbidden");
    cr_assert_eq(look_int(rig, "SELECT count(*) FROM workers WHERE worker_name='eve'"), 0);
    rig_end(rig);
}

Test(worker_auth, guessing_is_slowed_down_and_good_keys_are_not)
{
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    struct worker alice = worker_new(rig, "alice"), guesser = {.rig = rig, .key = "guess"};
    long status = 401;
    for (int i = 0; i < 1000 && status == 401; i++) {
        REPLY(reply) = worker_call(&guesser, "/api/worker/claim", "", NULL);
        status = reply.status;
        if (status == 429) {
            char after[16];
            reply_is(&reply, 429, "rate_limited");
            reply_header(&reply, "Retry-After", after, sizeof after);
            cr_assert_geq(strtol(after, NULL, 10), 1);
        }
    }
    cr_assert_eq(status, 429);
    REPLY(good) = worker_try_claim(&alice, 0);
    reply_is(&good, 200, NULL);
    rig_end(rig);
}

Test(worker_auth, keys_and_secrets_are_in_no_log_and_no_database)
{
    struct rig *rig = rig_new();
    rig_verifier_set(rig, "log.level", "\"debug\"");
    rig_agent_set(rig, "log.level", "\"debug\"");
    rig_start_verifier(rig);
    int64_t job = rig_add_job(rig, media_clip(MEDIA_TINY), "film");
    rig_start_agent(rig);
    rig_wait_completed(rig, job);
    rig_stop_agent(rig);
    TEXT(key_file) = rig_path(rig, "node.key");
    TEXT(key) = file_read(key_file);
    key[strcspn(key, "\n")] = '\0';
    cr_assert_geq(strlen(key), 43);
    TEXT(script) = must_printf("cd '%s' && grep -rlaF -e '%s' -e the-admin-secret . | sort | "
                               "tr '\\n' ' '",
                               rig->dir, key);
    RUN(run) = run_program((const char *[]){"sh", "-c", script, NULL}, NULL, HEARD_MS);
    cr_assert_str_eq(run.out, "./admin.secret ./node.key ", "%s", run.out);
    rig_end(rig);
}

Test(worker_auth, an_agent_with_a_bad_key_stays_and_says_so, .timeout = 120)
{
    struct rig *rig = rig_new();
    TEXT(key_file) = rig_path(rig, "node.key");
    TEXT(good) = file_read(key_file);
    file_write(key_file, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", 0600);
    rig_start_verifier(rig);
    int64_t job = rig_add_job(rig, media_clip(MEDIA_TINY), "film");
    rig_start_agent(rig);
    rig_expect(rig, "level=error", HEARD_MS, NULL);
    cr_assert_not(process_ends_within(rig->agent, 1000), "it gave up");
    file_write(key_file, good, 0600);
    rig_stop_agent(rig);
    rig_start_agent(rig);
    rig_wait_completed(rig, job);
    rig_end(rig);
}
