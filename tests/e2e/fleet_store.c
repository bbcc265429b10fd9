/* A verifier on PostgreSQL, and what happens to its database while a real agent works. */
#include "base/clock.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "postgres.h"
#include "rig.h"
#include "settings.h"
#include "worker.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fleet {
    struct postgres *server;
    struct rig *rig;
    char *url;
};

/* The node's worker is registered in the database of this test, by a password. */
static struct fleet fleet_new(void)
{
    struct fleet fleet = {.server = postgres_start(NULL), .rig = rig_new()};
    fleet.url = postgres_new_database(fleet.server->place);
    free(postgres_ask(fleet.url, "CREATE USER guarded PASSWORD 'of-a-test' SUPERUSER"));
    TEXT(plain) = postgres_url_at(fleet.url, fleet.server->port);
    TEXT(url) = must_printf("postgresql://guarded%s", strchr(plain, '@'));
    TEXT(password) = rig_path(fleet.rig, "postgres.password");
    TEXT(key) = rig_path(fleet.rig, "node.key");
    file_write(password, "of-a-test\n", 0600);
    settings_set_text(&fleet.rig->verifier_settings, "store.url", url);
    settings_set_text(&fleet.rig->verifier_settings, "store.password_file", password);
    cr_assert(unlink(key) == 0);
    RUN(run) = rig_verifier(fleet.rig,
                            (const char *[]){"worker", "add", "node", "--key-file", key, NULL});
    cr_assert(run.status == 0, "worker add: %d %s", run.status, run.err);
    return fleet;
}

static void fleet_end(struct fleet *fleet)
{
    rig_end(fleet->rig);
    postgres_stop(fleet->server);
    free(fleet->url);
}

static int64_t number(const struct fleet *fleet, const char *sql)
{
    TEXT(text) = postgres_ask(fleet->url, sql);
    return strtoll(text, NULL, 10);
}

/* Its one job is completed, once. */
static void fleet_end_completed(struct fleet *fleet)
{
    cr_expect_eq(number(fleet, "SELECT COUNT(*) FROM completions"), 1);
    cr_expect_eq(number(fleet, "SELECT COUNT(*) FROM videos v JOIN transcoding_jobs j ON"
                               " j.video_id = v.id WHERE v.status = 'ready' AND j.completed_at"
                               " IS NOT NULL AND j.attempt_number = 1"),
                 1);
    inspect_wait_spool(fleet->rig, "spool", 0, RIG_START_MS);
    fleet_end(fleet);
}

/* Both have looked for the name before either can insert its row. */
static void wait_for_both(struct pg_conn *connection)
{
    static const char waiting[] = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'guarded'"
                                  " AND wait_event_type = 'Lock'";
    for (int64_t until_ms = mono_ms() + RIG_START_MS;;) {
        TEXT(count) = postgres_ask_again(connection, waiting);
        if (strcmp(count, "2") == 0)
            return;
        cr_assert_lt(mono_ms(), until_ms, "%s wait", count);
        free(postgres_ask_again(connection, "SELECT pg_stat_clear_snapshot()"));
    }
}

Test(fleet_store, of_two_workers_that_are_added_under_one_name_at_once_one_is_refused)
{
    struct fleet fleet = fleet_new();
    struct pg_conn *lock = postgres_enter(fleet.url, "BEGIN; LOCK TABLE workers IN SHARE MODE");
    TEXT(config) = rig_path(fleet.rig, "verifier.cfg");
    const char *const argv[] = {TAILSLATE_VERIFIER, "-c", config, "worker", "add", "twin", NULL};
    struct process *both[2];
    for (int i = 0; i < 2; i++) {
        TEXT(log) = rig_path(fleet.rig, "twin.%d.log", i);
        both[i] = process_start(argv, NULL, log, NULL);
    }
    wait_for_both(lock);
    postgres_commit(lock);
    int first = process_wait(both[0], RIG_START_MS), second = process_wait(both[1], RIG_START_MS);
    cr_expect_eq(first + second, 65, "%d %d", first, second);
    cr_expect(log_find(both[first ? 0 : 1]->log, "there is a worker twin already", NULL));
    cr_expect_eq(number(&fleet, "SELECT COUNT(*) FROM workers WHERE worker_name = 'twin'"), 1);
    process_free(both[0]);
    process_free(both[1]);
    fleet_end(&fleet);
}

Test(fleet_store, every_verb_works_on_postgresql)
{
    struct fleet fleet = fleet_new();
    static const char *const commands[][4] = {{"check"},
                                              {"worker", "list"},
                                              {"job", "list"},
                                              {"job", "list", "--json"},
                                              {"job", "show", "1"},
                                              {"job", "release", "1"},
                                              {"status"},
                                              {"worker", "revoke", "1"}};
    rig_add_job(fleet.rig, media_clip(MEDIA_NORMAL), "film");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        const char *words[5] = {commands[i][0], commands[i][1], commands[i][2], commands[i][3],
                                NULL};
        RUN(run) = rig_verifier(fleet.rig, words);
        cr_expect_eq(run.status, 0, "%s %s: %d %s", words[0], words[1] ? words[1] : "", run.status,
                     run.err);
        cr_expect_not(strstr(run.out, "of-a-test") || strstr(run.err, "of-a-test"));
    }
    postgres_down(fleet.server, SIGINT);
    RUN(run) = rig_verifier(fleet.rig, (const char *[]){"job", "list", NULL});
    cr_expect_eq(run.status, 75, "%s", run.err);
    cr_expect(strstr(run.err, "Connection refused"), "%s", run.err);
    fleet_end(&fleet);
}

Test(fleet_store, a_database_that_restarts_under_a_job_costs_nothing)
{
    struct fleet fleet = fleet_new();
    rig_start_verifier(fleet.rig);
    int64_t job = rig_add_job(fleet.rig, media_clip(MEDIA_LONG), "film");
    struct peer *peer = rig_put_peer_between(fleet.rig);
    rig_start_agent(fleet.rig);
    peer_wait(peer, "POST *upload*", 1, RIG_JOB_MS);
    postgres_down(fleet.server, SIGINT);
    postgres_up(fleet.server);
    rig_wait_final(fleet.rig, job);
    fleet_end_completed(&fleet);
}

Test(fleet_store, a_completion_during_an_outage_of_the_database_lands_when_it_is_back)
{
    struct fleet fleet = fleet_new();
    rig_start_verifier(fleet.rig);
    int64_t job = rig_add_job(fleet.rig, media_clip(MEDIA_NORMAL), "film");
    struct peer *peer = rig_put_peer_between(fleet.rig);
    peer_script(peer, "POST *complete", "503 retry-after=1 code=store_unavailable; pass");
    rig_start_agent(fleet.rig);
    peer_wait(peer, "POST *complete", 1, RIG_JOB_MS);
    postgres_down(fleet.server, SIGQUIT);
    postgres_up(fleet.server);
    rig_wait_final(fleet.rig, job);
    fleet_end_completed(&fleet);
}

Test(fleet_store, a_verifier_starts_before_its_database_and_answers_503_until_it_is_there)
{
    struct fleet fleet = fleet_new();
    struct worker worker = {.rig = fleet.rig};
    TEXT(path) = rig_path(fleet.rig, "node.key");
    TEXT(key) = file_read(path);
    snprintf(worker.key, sizeof worker.key, "%.*s", (int)strcspn(key, "\n"), key);
    postgres_down(fleet.server, SIGINT);
    rig_start_verifier(fleet.rig);
    REPLY(down) = worker_try_claim(&worker, 0);
    reply_is(&down, 503, "store_unavailable");
    postgres_up(fleet.server);
    int64_t job = rig_add_job(fleet.rig, media_clip(MEDIA_NORMAL), "film");
    rig_start_agent(fleet.rig);
    rig_wait_final(fleet.rig, job);
    fleet_end_completed(&fleet);
}

Test(fleet_store, row_8_a_job_that_somebody_else_has_is_in_progress)
{
    struct fleet fleet = fleet_new();
    rig_start_verifier(fleet.rig);
    rig_add_job(fleet.rig, media_clip(MEDIA_NORMAL), "film");
    struct worker worker = worker_new(fleet.rig, "by-hand");
    worker.sends_epoch = true;
    cr_assert(worker_claim(&worker));
    worker_put_tree(&worker);
    char token[128], after[16];
    worker_token(&worker, token);
    struct pg_conn *holder = postgres_enter(
        fleet.url, "BEGIN; SELECT id FROM transcoding_jobs WHERE id = 1 FOR UPDATE");
    REPLY(busy) = worker_complete(&worker, token);
    reply_is(&busy, 503, "completion_in_progress");
    reply_header(&busy, "Retry-After", after, sizeof after);
    cr_expect_str_eq(after, "1");
    postgres_leave(holder);
    REPLY(done) = worker_complete(&worker, token);
    cr_expect_eq(done.status, 200, "%s", done.body);
    fleet_end_completed(&fleet);
}
