/* The sweeper for real: short claims, a node that dies, and a worker that only seems to. */
#include "base/clock.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "rig.h"
#include "worker.h"

#include <criterion/criterion.h>
#include <string.h>

enum { STARTED_MS = 30 * 1000, RELEASED_MS = 60 * 1000, EXIT_USAGE = 64 };

static struct rig *rig_with_short_claims(const char *minutes, const char *interval)
{
    struct rig *rig = rig_new();
    rig_verifier_set(rig, "claims.duration_minutes", minutes);
    rig_verifier_set(rig, "workers.offline_minutes", "0.05");
    rig_verifier_set(rig, "sweeper.interval_seconds", interval);
    rig_verifier_set(rig, "sweeper.grace_seconds", "1");
    return rig;
}

static void beat(const struct worker *worker)
{
    TEXT(body) = must_printf("{\"status\":\"busy\",\"metadata\":{\"jobs\":[%lld]}}",
                             (long long)worker->job);
    REPLY(reply) = worker_call(worker, "/api/worker/heartbeat", body, NULL);
    reply_is(&reply, 200, NULL);
}

/* A second in which the worker lives: it waits for a job that does not exist. */
static void live_a_second(struct worker *worker)
{
    beat(worker);
    REPLY(reply) = worker_call(worker, "/api/worker/claim?job_id=999&wait=1", "", NULL);
    reply_is(&reply, 200, NULL);
}

static int64_t released_rows(const struct rig *rig, int64_t job)
{
    return inspect_int(rig,
                       "SELECT COUNT(*) FROM sweeps WHERE outcome='released' AND released LIKE"
                       " '%%\"job\":%lld,%%'",
                       (long long)job);
}

static bool is_expired(const struct rig *rig, int64_t job)
{
    char expires[WALL_TEXT_BYTES], now[WALL_TEXT_BYTES];
    wall_format(wall_us(), now);
    inspect_text(rig, expires, sizeof expires,
                 "SELECT claim_expires_at FROM transcoding_jobs WHERE id=%lld", (long long)job);
    return expires[0] && strcmp(expires, now) < 0;
}

Test(sweeper, a_dead_nodes_job_goes_to_another_and_a_live_workers_expired_one_stays, .timeout = 300)
{
    struct rig *rig = rig_with_short_claims("0.1", "0.5");
    rig_start_verifier(rig);
    int64_t dead = rig_add_job(rig, media_clip(MEDIA_LONG), "dead");
    rig_start_agent(rig);
    rig_expect(rig, "event=step.transcoder_started", STARTED_MS, NULL);
    int64_t held = rig_add_job(rig, media_clip(MEDIA_NORMAL), "held");
    struct worker alice = worker_new(rig, "alice"), bob = worker_new(rig, "bob");
    REPLY(claimed) = worker_try_claim(&alice, held);
    cr_assert_eq(alice.job, held);
    rig_kill_node(rig);

    int64_t until_ms = mono_ms() + RELEASED_MS;
    while ((released_rows(rig, dead) == 0 || !is_expired(rig, held)) && mono_ms() < until_ms)
        live_a_second(&alice);
    cr_assert_eq(released_rows(rig, dead), 1, "the dead node's job was not released");
    cr_expect(is_expired(rig, held));
    cr_expect_eq(released_rows(rig, held), 0);
    cr_expect_eq(inspect_int(rig,
                             "SELECT COUNT(*) FROM transcoding_jobs WHERE id=%lld"
                             " AND claimed_at IS NOT NULL",
                             (long long)held),
                 1, "the live worker's job was released");
    char line[LINE_BYTES];
    process_expect(rig->verifier, "event=claim.released job=1 ", STARTED_MS, line);
    cr_expect(strstr(line, "reason=silent"), "%s", line);

    cr_assert(worker_claim(&bob));
    cr_assert_eq(bob.job, dead);
    worker_put_tree(&bob);
    char token[128];
    worker_token(&bob, token);
    REPLY(done) = worker_complete(&bob, token);
    reply_is(&done, 200, NULL);
    inspect_job_completed_once(rig, dead);
    REPLY(metrics) = worker_call(&bob, "/metrics", NULL, NULL);
    cr_expect(strstr(metrics.body, "tailslate_claims_released_total{reason=\"silent\"} 1"), "%s",
              metrics.body);
    cr_expect(strstr(metrics.body, "tailslate_sweeper_leads 1"));

    /* Hers is late and good. */
    worker_put_tree(&alice);
    worker_token(&alice, token);
    REPLY(late) = worker_complete(&alice, token);
    reply_is(&late, 200, NULL);
    rig_end(rig);
}

static struct run sweep(struct rig *rig, const char *first, const char *second)
{
    return rig_verifier(rig, (const char *[]){"sweep", first, second, NULL});
}

Test(sweeper, a_dry_run_says_what_an_order_then_does, .timeout = 300)
{
    struct rig *rig = rig_with_short_claims("0.02", "3600");
    rig_start_verifier(rig);
    rig_add_job(rig, media_clip(MEDIA_NORMAL), "film");
    struct worker alice = worker_new(rig, "alice");
    /* The server's own first sweep comes when the grace is over; the next one in an hour. */
    inspect_wait_int(rig, 1, RELEASED_MS,
                     "SELECT COUNT(*) FROM fleet WHERE last_sweep_at IS NOT NULL");
    cr_assert(worker_claim(&alice));
    bool said = false;
    for (int64_t until_ms = mono_ms() + RELEASED_MS; !said && mono_ms() < until_ms;) {
        RUN(run) = sweep(rig, "--once", "--dry-run");
        cr_assert_eq(run.status, 0, "%s%s", run.out, run.err);
        cr_assert_eq(strncmp(run.out, "nothing would be released: ", 27) == 0,
                     strstr(run.out, "would be released: job 1 (claim 1): worker alice") == NULL,
                     "%s", run.out);
        said = strstr(run.out, "would be released: job 1 ") != NULL;
    }
    cr_assert(said, "it never would have released");
    cr_expect_eq(inspect_int(rig, "SELECT COUNT(*) FROM transcoding_jobs WHERE claimed_at IS NULL"),
                 0);
    RUN(order) = sweep(rig, "--once", "--json");
    cr_assert_eq(order.status, 0, "%s", order.err);
    cr_expect(strstr(order.out, "\"outcome\":\t\"released\""), "%s", order.out);
    cr_expect(strstr(order.out, "\"reason\":\t\"silent\""), "%s", order.out);
    cr_expect_eq(inspect_int(rig, "SELECT COUNT(*) FROM transcoding_jobs WHERE claimed_at IS NULL"),
                 1);
    RUN(again) = sweep(rig, "--once", NULL);
    cr_expect_eq(strncmp(again.out, "nothing was released: every claim is unexpired", 46), 0, "%s",
                 again.out);
    rig_end(rig);
}

Test(sweeper, without_once_or_without_a_sweeper_an_order_says_why_it_does_nothing)
{
    struct rig *rig = rig_new();
    RUN(bare) = sweep(rig, NULL, NULL);
    cr_expect_eq(bare.status, EXIT_USAGE);
    cr_expect(strstr(bare.err, "--once"), "%s", bare.err);
    RUN(down) = sweep(rig, "--once", NULL);
    cr_expect_eq(down.status, 0);
    cr_expect(strstr(down.out, "no server with a sweeper is up"), "%s", down.out);
    rig_verifier_set(rig, "sweeper.mode", "\"off\"");
    rig_start_verifier(rig);
    RUN(off) = sweep(rig, "--once", NULL);
    cr_expect_eq(off.status, 0);
    cr_expect(strstr(off.out, "no server with a sweeper is up"), "%s", off.out);
    cr_expect_eq(inspect_int(rig, "SELECT COUNT(*) FROM fleet WHERE alive_at IS NULL"), 1);
    rig_end(rig);
}

Test(sweeper, a_restart_gives_the_lead_back_and_says_what_an_outage_cost, .timeout = 120)
{
    struct rig *rig = rig_with_short_claims("0.5", "0.5");
    rig_start_verifier(rig);
    rig_add_job(rig, media_clip(MEDIA_NORMAL), "film");
    struct worker alice = worker_new(rig, "alice");
    cr_assert(worker_claim(&alice));
    cr_assert_eq(rig_stop_verifier(rig), 0);
    cr_expect_eq(inspect_int(rig, "SELECT COUNT(*) FROM fleet WHERE leader IS NULL"), 1);
    cr_expect_eq(inspect_int(rig, "SELECT COUNT(*) FROM transcoding_jobs WHERE claimed_at IS NULL"),
                 0);
    inspect_change(rig, "UPDATE fleet SET alive_at='2026-01-01T00:00:00.000000+00:00',"
                        " up_since='2025-12-31T00:00:00.000000+00:00'");
    inspect_change(rig, "UPDATE transcoding_jobs SET last_checkpoint="
                        "'2025-12-31T23:59:59.000000+00:00'");
    rig_start_verifier(rig);
    char line[LINE_BYTES];
    process_expect(rig->verifier, "event=sweeper.outage", STARTED_MS, line);
    cr_expect(strstr(line, " claims=1 "), "%s", line);
    cr_expect_eq(inspect_int(rig, "SELECT COUNT(*) FROM sweeps WHERE outcome='outage'"), 1);
    rig_end(rig);
}
