/* How often a call waits for PostgreSQL to answer, once its statements are prepared. */
#include "bench.h"
#include "verifier/http/complete.h"
#include "verifier/store/key_memory.h"
#include "verifier/store/store_key.h"
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

Test(round_trips, of_a_completion_are_three_and_of_its_replay_one)
{
    struct journey journey = journey_new();
    complete(&journey, journey.first, TAILSLATE_VERDICT_COMMIT);
    cr_expect_eq(complete(&journey, journey.second, TAILSLATE_VERDICT_COMMIT), 3);
    cr_expect_eq(complete(&journey, journey.second, TAILSLATE_VERDICT_REPLAY), 1);
    cr_expect_eq(complete(&journey, journey.first, TAILSLATE_VERDICT_REPLAY), 1);
    bench_free(&journey.bench);
}
