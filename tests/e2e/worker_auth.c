/* Who may call: keys good, bad and revoked, and the admin's secret. */
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "worker.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

Test(worker_auth, a_worker_that_is_revoked_by_a_command_is_out_within_a_second)
{
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    struct worker alice = worker_new(rig, "alice");
    REPLY(before) = worker_try_claim(&alice, 0);
    reply_is(&before, 200, NULL);
    char id[64];
    inspect_text(rig, id, sizeof id, "SELECT worker_id FROM workers WHERE worker_name='alice'");
    RUN(run) = rig_verifier(rig, (const char *[]){"worker", "revoke", id, NULL});
    cr_assert_eq(run.status, 0, "%s", run.err);
    worker_wait_out(&alice);
    REPLY(after) = worker_try_claim(&alice, 0);
    reply_is(&after, 401, "unauthorized");
    inspect_change(rig, "UPDATE worker_api_keys SET revoked_at = NULL");
    REPLY(disabled) = worker_try_claim(&alice, 0);
    reply_is(&disabled, 403, "forbidden");
    rig_end(rig);
}

static struct run rotate(struct rig *rig, const char *worker, const char *overlap)
{
    return rig_verifier(rig,
                        (const char *[]){"worker", "rotate", worker, "--overlap", overlap, NULL});
}

static void take_new_key(const struct run *run, struct worker *worker)
{
    cr_assert_eq(run->status, 0, "%s", run->err);
    const char *line = strchr(run->out, '\n');
    cr_assert(line && strlen(line) > 40, "%s", run->out);
    snprintf(worker->key, sizeof worker->key, "%.*s", (int)strcspn(line + 1, "\n"), line + 1);
}

Test(worker_auth, a_rotated_key_is_good_for_the_overlap_and_the_worker_stays_who_it_is)
{
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    int64_t job = rig_add_job(rig, media_clip(MEDIA_TINY), "film");
    struct worker old = worker_new(rig, "alice");
    cr_assert(worker_claim(&old));
    struct worker fresh = old, newest = old;
    RUN(day) = rotate(rig, "alice", "24h");
    take_new_key(&day, &fresh);
    cr_assert(strstr(day.err, "valid until"), "%s", day.err);
    struct worker *const both[] = {&old, &fresh};
    REPLY(beat) = worker_call(&fresh, "/api/worker/heartbeat", "{}", NULL);
    reply_is(&beat, 200, NULL);
    cr_assert_eq(inspect_int(rig,
                             "SELECT count(*) FROM worker_api_keys WHERE last_used_at IS NOT NULL"
                             " AND expires_at IS NULL"),
                 1, "which of the two the node uses");
    cr_assert_eq(inspect_int(rig, "SELECT count(*) FROM worker_api_keys WHERE last_used_at IS NULL"
                                  " AND expires_at IS NOT NULL"),
                 1);
    for (int i = 0; i < 2; i++) {
        REPLY(progress) = worker_call(both[i], "/api/worker/1/progress", "{}", NULL);
        reply_is(&progress, 200, NULL);
    }
    /* And who has not got it yet is no guesser. */
    RUN(now) = rotate(rig, "alice", "0");
    take_new_key(&now, &newest);
    worker_wait_out(&old);
    worker_wait_out(&fresh);
    for (int i = 0; i < 150; i++) {
        REPLY(late) = worker_call(both[i % 2], "/api/worker/1/progress", "{}", NULL);
        reply_is(&late, 401, "unauthorized");
    }
    worker_put_tree(&newest);
    REPLY(done) = worker_complete(&newest, NULL);
    reply_is(&done, 200, NULL);
    inspect_job_completed_once(rig, job);
    cr_assert_eq(inspect_int(rig, "SELECT count(*) FROM workers WHERE worker_name='alice'"), 1);
    rig_end(rig);
}

Test(worker_auth, what_cannot_be_rotated_is_said_and_changes_no_key)
{
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    struct worker alice = worker_new(rig, "alice"), twin = worker_new(rig, "twin");
    REPLY(second) = admin_call(rig, "/api/worker/register", "{\"worker_name\":\"twin\"}");
    reply_is(&second, 200, NULL);
    static const char *const wrong[][3] = {{"nobody", "24h", "no worker nobody"},
                                           {"twin", "24h", "several"},
                                           {"alice", "soon", "--overlap soon"},
                                           {"alice", "1000d", "at most 90 days"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        RUN(run) = rotate(rig, wrong[i][0], wrong[i][1]);
        cr_assert_neq(run.status, 0, "%s %s", wrong[i][0], wrong[i][1]);
        cr_assert(strstr(run.err, wrong[i][2]), "%s", run.err);
    }
    cr_assert_eq(inspect_int(rig, "SELECT count(*) FROM worker_api_keys WHERE expires_at IS NULL"),
                 4);
    char id[64];
    inspect_text(rig, id, sizeof id, "SELECT worker_id FROM workers WHERE worker_name='alice'");
    RUN(revoke) = rig_verifier(rig, (const char *[]){"worker", "revoke", id, NULL});
    RUN(disabled) = rotate(rig, id, "24h");
    cr_assert(disabled.status != 0 && strstr(disabled.err, "disabled"), "%s", disabled.err);
    REPLY(claim) = worker_try_claim(&alice, 0);
    reply_is(&claim, 401, "unauthorized");
    REPLY(others) = worker_try_claim(&twin, 0);
    reply_is(&others, 200, NULL);
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
    reply_is(&after, 401, "unauthorized");
    rig_end(rig);
}

Test(worker_auth, the_counts_of_workers_are_of_all_of_them)
{
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    inspect_change(
        rig, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500) "
             "INSERT INTO workers (worker_id, worker_name, worker_type, registered_at, status)"
             " SELECT 'w-' || i, 'w', 'remote', '2020-01-01T00:00:00.000000+00:00',"
             " CASE WHEN i <= 20 THEN 'disabled' ELSE 'idle' END FROM n");
    REPLY(list) = admin_call(rig, "/api/workers", NULL);
    reply_is(&list, 200, NULL);
    cr_assert_eq(reply_int(&list, "total_count"), 1501);
    cr_assert_eq(reply_int(&list, "disabled_count"), 20);
    cr_assert_eq(reply_int(&list, "offline_count"), 1480);
    cr_assert_eq(reply_int(&list, "active_count"), 1);
    rig_end(rig);
}

Test(worker_auth, a_key_file_is_written_whole_and_replaces_none)
{
    struct rig *rig = rig_new();
    TEXT(old) = rig_path(rig, "old.key");
    file_write(old, "the key of another worker\n", 0644);
    RUN(refused) = rig_verifier(rig,
                                (const char *[]){"worker", "add", "x", "--key-file", old, NULL});
    cr_assert_neq(refused.status, 0);
    cr_assert(strstr(refused.err, "exists"), "%s", refused.err);
    TEXT(kept) = file_read(old);
    cr_assert_str_eq(kept, "the key of another worker\n");

    TEXT(nowhere) = rig_path(rig, "nowhere/x.key");
    RUN(lost) = rig_verifier(rig,
                             (const char *[]){"worker", "add", "x", "--key-file", nowhere, NULL});
    cr_assert_neq(lost.status, 0);
    TEXT(link) = rig_path(rig, "link.key");
    cr_assert_eq(symlink(old, link), 0);
    RUN(linked) = rig_verifier(rig,
                               (const char *[]){"worker", "add", "x", "--key-file", link, NULL});
    cr_assert_neq(linked.status, 0);
    cr_assert_eq(inspect_int(rig, "SELECT count(*) FROM workers WHERE worker_name='x'"), 0,
                 "a worker was made whose key nobody has");

    TEXT(empty) = rig_path(rig, "empty.key"); /* as mktemp makes it */
    file_write(empty, "", 0644);
    RUN(made) = rig_verifier(rig,
                             (const char *[]){"worker", "add", "x", "--key-file", empty, NULL});
    cr_assert_eq(made.status, 0, "%s", made.err);
    struct stat status;
    cr_assert(stat(empty, &status) == 0 && (status.st_mode & 0777) == 0600 && status.st_size == 44);
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
    cr_assert_eq(inspect_int(rig, "SELECT count(*) FROM workers WHERE worker_name='eve'"), 0);
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
    int64_t job = rig_begin(rig, media_clip(MEDIA_TINY));
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
    int64_t job = rig_begin(rig, media_clip(MEDIA_TINY));
    rig_expect(rig, "level=error", HEARD_MS, NULL);
    cr_assert_not(process_ends_within(rig->agent, 1000), "it gave up");
    file_write(key_file, good, 0600);
    rig_stop_agent(rig);
    rig_start_agent(rig);
    rig_wait_completed(rig, job);
    rig_end(rig);
}
