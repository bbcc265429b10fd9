/* The outbox of webhooks: an event exists if and only if what it tells is committed, and is taken
 * by one verifier at a time until it has ended. */
#include "lib/cleanup.h"
#include "lib/json.h"
#include "store_rig.h"
#include "verifier/store/store_complete.h"
#include "verifier/store/store_event.h"
#include "verifier/store/store_operation.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    BOTH = STORE_EVENT_READY | STORE_EVENT_FAILED,
    LEASE_MS = 10 * 1000,
    KEEP_MS = 3600 * 1000,
    TAKERS = 8,
    EVENTS = 24,
};
#define COUNT "SELECT COUNT(*) FROM webhook_events"

static int64_t add_claimed(struct rig *rig, const char *slug)
{
    int64_t job = rig_add_job(rig, slug);
    cr_assert_eq(rig_claim(rig, &rig->anna, job).job_id, job);
    return job;
}

static struct rig *new_claimed(unsigned events)
{
    struct rig *rig = rig_new_telling(events);
    rig->job = add_claimed(rig, "film");
    return rig;
}

static void cancel(struct rig *rig, int64_t job)
{
    struct store_operated result;
    struct error err;
    cr_assert_eq(store_job_cancel(rig->store, job, &result, &err), 0, "%s", err.message);
    cr_assert_null(result.refused, "%s", result.refused);
}

/* id 0: none is due */
static struct store_event take(struct rig *rig)
{
    struct store_event event;
    struct error err;
    cr_assert_eq(store_event_take(rig->store, LEASE_MS, &event, &err), 0, "%s", err.message);
    return event;
}

static void expect_none_due(struct rig *rig, const char *when)
{
    struct store_event event = take(rig);
    cr_expect_eq(event.id, 0, "%s: %s", when, event.payload);
    store_event_fini(&event);
}

static void deliver(struct rig *rig, struct store_event *event)
{
    struct error err;
    cr_assert_eq(store_event_delivered(rig->store, event, &err), 0, "%s", err.message);
    store_event_fini(event);
}

static bool fail(struct rig *rig, const struct store_event *event, int64_t delay_ms)
{
    bool given_up;
    struct error err;
    cr_assert_eq(store_event_failed(rig->store, event, "it answered 500", delay_ms, KEEP_MS,
                                    &given_up, &err),
                 0, "%s", err.message);
    return given_up;
}

/* ---- written --------------------------------------------------------------------------------- */

static void expect_text(const struct json *object, const char *key, const char *wanted)
{
    const char *text = json_text(json_get(object, key));
    cr_expect(text && strcmp(text, wanted) == 0, "%s: %s", key, text ? text : "null");
}

Test(store_event, of_a_ready_video_tells_what_is_committed)
{
    struct rig *rig = new_claimed(BOTH);
    struct error err;
    struct tailslate_completion completion = rig_completion(rig->job, 1);
    struct tailslate_result result = rig_complete(rig, rig_caller(&rig->anna, 1), rig->job,
                                                  &completion);
    cr_assert_eq(result.verdict, TAILSLATE_VERDICT_COMMIT);
    struct store_event event = take(rig);
    JSON(payload) = json_parse(event.payload, strlen(event.payload), &err);
    cr_assert(payload, "%s", err.message);
    cr_expect_str_eq(event.name, "video.ready");
    cr_expect_eq(event.job_id, rig->job);
    cr_expect_eq(event.attempts, 1);
    expect_text(payload, "event", "video.ready");
    expect_text(payload, "id", event.delivery);
    expect_text(payload, "occurred_at", result.completed_at);
    expect_text(payload, "slug", "film");
    expect_text(payload, "status", "ready");
    expect_text(payload, "streaming_format", "cmaf");
    cr_expect_null(json_get(payload, "reason"));
    cr_expect_eq(json_count(json_get(payload, "qualities")), 1);
    expect_text(json_at(json_get(payload, "qualities"), 0), "name", "720p");
    deliver(rig, &event);
    rig_free(rig);
}

Test(store_event, of_a_completion_is_one_however_often_it_is_presented)
{
    struct rig *rig = new_claimed(BOTH);
    for (int token = 1; token <= 2; token++)
        for (int i = 0; i < 2; i++)
            rig_present(rig, rig_caller(&rig->anna, 1), rig->job, token);
    cr_expect_eq(rig_number(rig, COUNT), 1);
    rig_free(rig);
}

Test(store_event, is_written_only_where_a_webhook_wants_it)
{
    static const struct {
        unsigned events;
        int64_t ready, failed;
    } cases[] = {{0, 0, 0}, {STORE_EVENT_READY, 1, 0}, {STORE_EVENT_FAILED, 0, 1}, {BOTH, 1, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rig *rig = new_claimed(cases[i].events);
        rig_present(rig, rig_caller(&rig->anna, 1), rig->job, 1);
        rig_fail(rig, rig_caller(&rig->anna, 1), add_claimed(rig, "other"), false);
        cr_expect_eq(rig_number(rig, COUNT " WHERE event = 'video.ready'"), cases[i].ready,
                     "case %zu", i);
        cr_expect_eq(rig_number(rig, COUNT " WHERE event = 'video.failed'"), cases[i].failed,
                     "case %zu", i);
        rig_free(rig);
    }
}

Test(store_event, without_its_row_the_completion_is_not_committed)
{
    struct rig *rig = new_claimed(BOTH);
    struct tailslate_completion completion = rig_completion(rig->job, 1);
    struct store_caller anna = rig_caller(&rig->anna, 1);
    struct tailslate_result result;
    struct error err;
    rig_sql(rig, "ALTER TABLE webhook_events RENAME TO away");
    cr_expect_eq(store_complete(rig->store, &anna, rig->job, &completion, &result, &err), -1);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM completions"), 0);
    rig_sql(rig, "ALTER TABLE away RENAME TO webhook_events");
    cr_expect_eq(rig_present(rig, anna, rig->job, 1), TAILSLATE_VERDICT_COMMIT);
    cr_expect_eq(rig_number(rig, COUNT), 1);
    rig_free(rig);
}

Test(store_event, of_a_failure_is_written_when_it_is_for_good_and_once)
{
    struct rig *rig = new_claimed(BOTH);
    rig_fail(rig, rig_caller(&rig->anna, 1), rig->job, true);
    cr_expect_eq(rig_number(rig, COUNT), 0, "it will be tried again");
    int64_t epoch = rig_claim(rig, &rig->anna, rig->job).claim_epoch;
    for (int i = 0; i < 2; i++)
        rig_fail(rig, rig_caller(&rig->anna, epoch), rig->job, false);
    cr_expect_eq(rig_number(rig, COUNT), 1);
    struct store_event event = take(rig);
    cr_expect_str_eq(event.name, "video.failed");
    cr_expect(strstr(event.payload, "\"reason\":\"it broke\""), "%s", event.payload);
    cr_expect(strstr(event.payload, "\"status\":\"failed\""), "%s", event.payload);
    deliver(rig, &event);
    rig_free(rig);
}

Test(store_event, of_a_failure_is_also_one_of_a_job_that_was_cancelled_or_has_no_source)
{
    struct rig *rig = rig_new_telling(BOTH);
    int64_t job = rig_add_job(rig, "unwanted");
    cancel(rig, job);
    rig_add_job(rig, "gone");
    rig->source_code = ENOENT;
    cr_assert_eq(rig_claim(rig, &rig->anna, 0).job_id, 0);
    cr_expect_eq(rig_number(rig, COUNT " WHERE event = 'video.failed'"), 2);
    cr_expect_eq(rig_number(rig, COUNT " WHERE payload LIKE '%\"cancelled by an operator\"%'"), 1);
    cr_expect_eq(rig_number(rig, COUNT " WHERE payload LIKE '%is gone from uploads_dir%'"), 1);
    rig_free(rig);
}

/* ---- taken ----------------------------------------------------------------------------------- */

static struct rig *new_completed(void)
{
    struct rig *rig = new_claimed(BOTH);
    rig_present(rig, rig_caller(&rig->anna, 1), rig->job, 1);
    return rig;
}

Test(store_event, that_is_taken_is_nobody_elses_until_its_lease_has_ended)
{
    struct rig *rig = new_completed();
    struct store_event first = take(rig);
    expect_none_due(rig, "it is leased");
    rig->ahead_ms = LEASE_MS + 1;
    struct store_event second = take(rig);
    cr_assert_eq(second.id, first.id);
    cr_expect_str_eq(second.delivery, first.delivery);
    cr_expect_eq(second.attempts, 2);
    fail(rig, &first, 0);
    expect_none_due(rig, "an attempt that is over has no say");
    deliver(rig, &first);
    rig->ahead_ms = 10 * LEASE_MS;
    expect_none_due(rig, "it was delivered");
    store_event_fini(&second);
    rig_free(rig);
}

Test(store_event, that_failed_waits_for_its_next_attempt_and_says_why)
{
    struct rig *rig = new_completed();
    struct store_event event = take(rig);
    struct store_events events;
    struct error err;
    cr_expect_not(fail(rig, &event, 60 * 1000));
    store_event_fini(&event);
    cr_assert_eq(store_events(rig->store, &events, &err), 0, "%s", err.message);
    cr_expect_eq(events.waiting, 1);
    cr_expect_str_eq(events.reason, "it answered 500");
    cr_expect_lt(strcmp(events.since, events.now), 0);
    cr_expect_gt(strcmp(events.next_attempt_at, events.now), 0);
    rig->ahead_ms = 59 * 1000;
    expect_none_due(rig, "a second before");
    rig->ahead_ms = 61 * 1000;
    event = take(rig);
    cr_expect_eq(event.attempts, 2);
    deliver(rig, &event);
    cr_assert_eq(store_events(rig->store, &events, &err), 0, "%s", err.message);
    cr_expect_eq(events.waiting, 0);
    cr_expect_str_eq(events.since, "");
    rig_free(rig);
}

Test(store_event, that_was_put_back_is_due_at_once)
{
    struct rig *rig = new_completed();
    struct error err;
    struct store_event event = take(rig), again;
    cr_assert_eq(store_event_put_back(rig->store, &event, &err), 0, "%s", err.message);
    again = take(rig);
    cr_expect_eq(again.id, event.id);
    store_event_fini(&event);
    store_event_fini(&again);
    rig_free(rig);
}

Test(store_event, is_given_up_after_a_failed_attempt_when_it_is_too_old)
{
    struct rig *rig = new_completed();
    struct store_events events;
    struct error err;
    rig->ahead_ms = KEEP_MS + 1000;
    struct store_event event = take(rig);
    cr_assert_neq(event.id, 0, "its first attempt is made, however late");
    cr_expect(fail(rig, &event, 0));
    store_event_fini(&event);
    expect_none_due(rig, "it was given up");
    cr_assert_eq(store_events(rig->store, &events, &err), 0, "%s", err.message);
    cr_expect_eq(events.waiting, 0);
    cr_expect_eq(events.given_up, 1);
    rig_free(rig);
}

Test(store_event, of_a_job_comes_after_the_one_before_it)
{
    struct rig *rig = rig_new_telling(BOTH);
    struct store_operated result;
    struct error err;
    int64_t job = rig_add_job(rig, "film");
    cancel(rig, job);
    cr_assert_eq(store_job_retry(rig->store, job, &result, &err), 0, "%s", err.message);
    rig_claim(rig, &rig->anna, job);
    rig_present(rig, rig_caller(&rig->anna, 1), job, 1);
    struct store_event failed = take(rig);
    cr_expect_str_eq(failed.name, "video.failed");
    fail(rig, &failed, 60 * 1000);
    expect_none_due(rig, "the one before it waits");
    rig_present(rig, rig_caller(&rig->anna, 1), add_claimed(rig, "other"), 2);
    struct store_event other = take(rig);
    cr_expect_neq(other.job_id, job, "another job does not wait for it");
    deliver(rig, &other);
    deliver(rig, &failed);
    struct store_event ready = take(rig);
    cr_expect_str_eq(ready.name, "video.ready");
    cr_expect_eq(ready.job_id, job);
    deliver(rig, &ready);
    rig_free(rig);
}

Test(store_event, is_due_again_when_the_clock_was_set_back)
{
    struct rig *rig = new_completed();
    struct store_event event = take(rig);
    fail(rig, &event, 60 * 1000);
    store_event_fini(&event);
    rig->ahead_ms = -2LL * STORE_EVENT_AHEAD_MAX_MS;
    event = take(rig);
    cr_expect_neq(event.id, 0);
    store_event_fini(&event);
    rig_free(rig);
}

Test(store_event, that_ended_is_deleted_later_and_one_that_waits_is_not)
{
    struct rig *rig = new_completed();
    struct error err;
    struct store_event event = take(rig);
    deliver(rig, &event);
    rig_present(rig, rig_caller(&rig->anna, 1), add_claimed(rig, "other"), 2);
    cr_assert_eq(store_event_prune(rig->store, KEEP_MS, &err), 0, "%s", err.message);
    cr_expect_eq(rig_number(rig, COUNT), 2);
    rig->ahead_ms = KEEP_MS + 1000;
    cr_assert_eq(store_event_prune(rig->store, KEEP_MS, &err), 0, "%s", err.message);
    cr_expect_eq(rig_number(rig, COUNT), 1);
    cr_expect_eq(rig_number(rig, COUNT " WHERE ended_at IS NULL"), 1);
    rig_free(rig);
}

struct taker {
    pthread_t thread;
    struct store *store;
    int64_t taken[EVENTS];
    int count;
};

/* Until nothing is left: SKIP LOCKED may find none while others are at work. */
static void *take_all(void *ctx)
{
    struct taker *taker = ctx;
    struct store_events events = {.waiting = 1};
    struct error err;
    while (events.waiting > 0) {
        struct store_event event;
        must(store_event_take(taker->store, LEASE_MS, &event, &err) == 0);
        if (event.id) {
            must(taker->count < EVENTS);
            taker->taken[taker->count++] = event.id;
            must(store_event_delivered(taker->store, &event, &err) == 0);
        }
        store_event_fini(&event);
        must(store_events(taker->store, &events, &err) == 0);
    }
    return NULL;
}

Test(store_event, of_many_takers_on_two_verifiers_one_has_each)
{
    struct rig *rig = rig_new_telling(BOTH);
    struct error err;
    struct taker takers[TAKERS] = {0};
    int seen[EVENTS + 1] = {0}, total = 0;
    struct store *second = rig_open(rig, rig->url, &err);
    cr_assert(second, "%s", err.message);
    for (int i = 0; i < EVENTS; i++)
        cancel(rig, rig_add_job(rig, NULL));
    for (int i = 0; i < TAKERS; i++) {
        takers[i].store = i % 2 ? second : rig->store;
        cr_assert_eq(pthread_create(&takers[i].thread, NULL, take_all, &takers[i]), 0);
    }
    for (int i = 0; i < TAKERS; i++) {
        pthread_join(takers[i].thread, NULL);
        total += takers[i].count;
        for (int j = 0; j < takers[i].count; j++)
            seen[takers[i].taken[j]]++;
    }
    cr_expect_eq(total, EVENTS);
    for (int i = 1; i <= EVENTS; i++)
        cr_expect_eq(seen[i], 1, "event %d was taken %d times", i, seen[i]);
    store_close(second);
    rig_free(rig);
}
