/* How often a call waits for PostgreSQL to answer, once its statements are prepared. */
#include "bench.h"
#include "verifier/http/complete.h"
#include "verifier/store/key_memory.h"
#include "verifier/store/store_key.h"
#include "verifier/store/store_overview.h"
#include "verifier/store/store_private.h"

#include <criterion/criterion.h>
#include <string.h>

struct journey {
    struct bench bench;
    char key[64]; /* of the worker that has claimed both jobs */
    struct store_worker worker;
    int64_t first, second;
};

static struct journey journey_new(void)
{
    struct journey journey = {.bench = bench_new()};
    struct rig *rig = journey.bench.rig;
    struct store_registration dora = {.name = "dora", .type = "remote"};
    struct error err;
    enum store_key found;
    journey.first = journey.bench.job_id;
    journey.second = rig_add_job(rig, "another");
    cr_assert_eq(store_worker_register(rig->store, &dora, &err), 0, "%s", err.message);
    cr_assert_eq(store_worker_by_key(rig->store, dora.api_key, &found, &journey.worker, &err), 0);
    memcpy(journey.key, dora.api_key, sizeof journey.key);
    rig_claim(rig, &journey.worker, journey.first);
    rig_claim(rig, &journey.worker, journey.second);
    return journey;
}

/* As a request does it: whose key is this, then the completion; the key is remembered. */
static int complete(struct journey *journey, int64_t job_id, enum tailslate_verdict wanted)
{
    struct store *store = journey->bench.rig->store;
    struct tailslate_completion completion = rig_completion(job_id, (int)job_id);
    struct tailslate_result result;
    struct error err;
    enum store_key found;
    key_memory_forget(store->key_memory); /* a second from now, whatever the machine does */
    cr_assert_eq(store_worker_by_key(store, journey->key, &found, &journey->worker, &err), 0);
    int before = fault_proxy_round_trips(journey->bench.proxy);
    cr_assert_eq(store_worker_by_key(store, journey->key, &found, &journey->worker, &err), 0);
    cr_assert_eq(found, STORE_KEY_GOOD);
    struct store_caller caller = rig_caller(&journey->worker, 1);
    cr_assert_eq(complete_job(store, NULL, &caller, job_id, &completion, &result, &err), 0, "%s",
                 err.message);
    cr_assert_eq(result.verdict, wanted);
    return fault_proxy_round_trips(journey->bench.proxy) - before;
}

Test(round_trips, of_a_completion_are_two_and_of_its_replay_one)
{
    struct journey journey = journey_new();
    complete(&journey, journey.first, TAILSLATE_VERDICT_COMMIT);
    cr_expect_eq(complete(&journey, journey.second, TAILSLATE_VERDICT_COMMIT), 2);
    cr_expect_eq(complete(&journey, journey.second, TAILSLATE_VERDICT_REPLAY), 1);
    cr_expect_eq(complete(&journey, journey.first, TAILSLATE_VERDICT_REPLAY), 1);
    bench_free(&journey.bench);
}

/* The second of two calls: the first one prepares the statements. */
#define EXPECT_ROUND_TRIPS(journey, wanted, call)                                                  \
    for (int turn = 0; turn < 2; turn++) {                                                         \
        int before = fault_proxy_round_trips((journey).bench.proxy);                               \
        call;                                                                                      \
        int count = fault_proxy_round_trips((journey).bench.proxy) - before;                       \
        cr_expect(turn == 0 || count == (wanted), "%d round trips: %s", count, #call);             \
    }

Test(round_trips, of_what_a_worker_at_work_calls_again_and_again_are_few)
{
    struct journey journey = journey_new();
    struct rig *rig = journey.bench.rig;
    struct store_caller caller = rig_caller(&journey.worker, 1);
    struct store_replays replay = {.job_id = journey.first, .claim_epoch = 1, .count = 1};
    enum tailslate_standing standing;
    struct store_job job;
    struct error err;
    int published = 0;
    EXPECT_ROUND_TRIPS(journey, 2,
                       rig_beat(rig, &journey.worker, WORKER_BUSY, true, journey.first));
    EXPECT_ROUND_TRIPS(journey, 2, rig_progress(rig, caller, journey.first));
    EXPECT_ROUND_TRIPS(journey, 3,
                       cr_assert_eq(store_upload(rig->store, &caller, journey.first, rig_publish,
                                                 &published, &standing, &err),
                                    0));
    EXPECT_ROUND_TRIPS(
        journey, 1,
        cr_assert_eq(
            store_caller_standing(rig->store, &caller, journey.first, &standing, &job, &err), 0));
    EXPECT_ROUND_TRIPS(journey, 2,
                       cr_assert_eq(store_add_replays(rig->store, &replay, 1, &err), 0));
    bench_free(&journey.bench);
}

static void delete_video(struct rig *rig)
{
    rig_sql(rig, "UPDATE videos SET deleted_at = created_at");
}

/* The lock holds the job's row, and its video is another one. */
Test(round_trips, of_a_completion_whose_video_goes_while_its_files_are_checked_change_nothing)
{
    struct journey journey = journey_new();
    struct rig *rig = journey.bench.rig;
    rig->at_the_files = delete_video;
    complete(&journey, journey.first, TAILSLATE_VERDICT_GONE);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM completions"), 0);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM video_qualities"), 0);
    cr_expect_eq(
        rig_number(rig, "SELECT COUNT(*) FROM transcoding_jobs WHERE completed_at IS NULL"), 2);
    bench_free(&journey.bench);
}

/* More than fit into one batch. */
Test(round_trips, of_a_heartbeat_with_a_hundred_jobs_are_few)
{
    struct journey journey = journey_new();
    struct rig *rig = journey.bench.rig;
    struct message_heartbeat heartbeat = {
        .status = WORKER_BUSY, .jobs_known = true, .job_count = 100};
    struct error err;
    for (int i = 0; i < 100; i++)
        heartbeat.jobs[i] = i + 1;
    EXPECT_ROUND_TRIPS(journey, 6,
                       cr_assert_eq(store_heartbeat(rig->store, &journey.worker, &heartbeat, &err),
                                    0, "%s", err.message));
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM held_jobs"), 101);
    bench_free(&journey.bench);
}
