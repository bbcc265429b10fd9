#include "agent/daemon/outbox.h"

#include "agent/api/connect.h"
#include "base/clock.h"
#include "base/log.h"
#include "lib/cleanup.h"
#include "lib/uuid.h"

#include <stdio.h>
#include <string.h>

static bool is_waiting(const struct live *live)
{
    return job_need(live->state) == JOB_NEEDS_COURIER && !live->delivery.call && !live->is_on_hold;
}

/* Call after a change of what is_waiting looks at, or with another time. */
static void wait_until(struct live *live, int64_t due_ms)
{
    struct due *due = &live->delivery.due;
    if (is_waiting(live)) {
        due_put(&live->node->reports, due, due_ms, live->sealed_us);
        return;
    }
    due_take(&live->node->reports, due);
    due->at_ms = due_ms; /* for a report that is in flight or on hold, and may be waiting again */
}

static void set_call(struct live *live, struct http_call *call)
{
    if (live->delivery.call)
        live->node->in_flight--;
    if (call)
        live->node->in_flight++;
    live->delivery.call = call;
    wait_until(live, live->delivery.due.at_ms);
}

/* Reports that are only in backoff may be presented earlier, at the common rate and the oldest
 * first: all are due at one time, within the interval of that rate. */
static void wake_all(struct node *node, int64_t now_ms)
{
    node->has_postponed = false;
    int64_t interval_ms = (int64_t)(1000 / node->config->retry.rate_per_second);
    uint64_t random = random_u64();
    for (struct live *live = node->roster.first; live; live = live->next) {
        const struct live_delivery *delivery = &live->delivery;
        if (is_waiting(live) && !delivery->is_held && !delivery->is_silent)
            wait_until(live, tailslate_backoff_wake_ms(delivery->due.at_ms, delivery->floor_ms,
                                                       now_ms, interval_ms, random));
    }
}

/* Those that were woken before need not be woken again: this is called for each delivery. */
void outbox_wake_waiting(struct node *node, int64_t now_ms)
{
    if (node->has_postponed)
        wake_all(node, now_ms);
}

/* Only a hold needs a person. A single failed attempt is repeated, and that usually suffices. */
static enum log_level trouble_level(const struct live *live, enum delivery verdict, bool is_news)
{
    if (verdict == DELIVERY_HOLD)
        return is_news ? LOG_ERROR : LOG_DEBUG;
    if (live->delivery.failures == 1 || verdict == DELIVERY_SILENT)
        return LOG_INFO;
    return is_news || live->delivery.failures == 2 ? LOG_WARNING : LOG_DEBUG;
}

static void log_trouble(const struct live *live, enum delivery verdict, int64_t delay_ms,
                        bool is_news)
{
    log_at(trouble_level(live, verdict, is_news), "delivery.refused", LOG_INT("job", live->job_id),
           LOG_TEXT("record", live->id), LOG_TEXT("token", live->token),
           LOG_INT("attempt", live->courier.attempts), LOG_TEXT("verdict", delivery_name(verdict)),
           LOG_INT("delay_ms", delay_ms), LOG_TEXT("reason", live->delivery.reason),
           LOG_TEXT("hint", live->delivery.hint ? live->delivery.hint : ""));
}

static void postpone_by(struct live *live, enum delivery verdict, int64_t delay_ms,
                        int64_t retry_after_ms, const char *why, const char *hint)
{
    struct live_delivery *delivery = &live->delivery;
    int64_t now_ms = mono_ms();
    bool is_news = strcmp(delivery->reason, why) != 0;
    live->node->has_postponed = true;
    delivery->is_held = verdict == DELIVERY_HOLD;
    delivery->is_silent = verdict == DELIVERY_SILENT;
    wait_until(live, now_ms + delay_ms);
    delivery->floor_ms = retry_after_ms > 0 ? now_ms + retry_after_ms : 0;
    snprintf(delivery->reason, sizeof delivery->reason, "%s", why);
    delivery->hint = hint;
    if (delivery->since_us == 0)
        delivery->since_us = wall_us();
    log_trouble(live, verdict, delay_ms, is_news);
    node_status_changed(live->node);
}

void outbox_postpone(struct live *live, enum delivery verdict, int64_t retry_after_ms,
                     const char *why, const char *hint)
{
    int64_t delay_ms = delivery_delay_ms(verdict, connect_backoff(live->node->config),
                                         ++live->delivery.failures, retry_after_ms, random_u64());
    postpone_by(live, verdict, delay_ms, retry_after_ms, why, hint);
}

/* The note in the record is the same if its step is refused: control.c acts on both. */
void outbox_hold(struct live *live, const struct delivery_judgment *judgment,
                 int64_t retry_after_ms)
{
    struct error ignored;
    struct record_refusal refusal;
    FD(dir) = judgment->is_about_job ? roster_open(live, &ignored) : -1;
    if (dir < 0) {
        outbox_postpone(live, DELIVERY_HOLD, retry_after_ms, judgment->why, judgment->hint);
        return;
    }
    record_note_refusal(dir, judgment->why, &refusal);
    node_record_changed(live);
    live->delivery.failures++;
    postpone_by(live, DELIVERY_HOLD,
                delivery_hold_ms(connect_backoff(live->node->config),
                                 (refusal.at_us - refusal.since_us) / 1000, retry_after_ms,
                                 random_u64()),
                retry_after_ms, judgment->why, judgment->hint);
}

void outbox_await_bypass(struct live *live, const char *why)
{
    struct error ignored;
    FD(dir) = roster_open(live, &ignored);
    if (dir >= 0)
        record_note_silence(dir, live->token, wall_us());
    live->delivery.past_cache = true;
    outbox_postpone(live, DELIVERY_SILENT, -1, why, NULL);
}

void outbox_begin_call(struct live *live, struct http_call *call)
{
    must(!live->delivery.call);
    set_call(live, call);
}

void outbox_end_call(struct live *live)
{
    set_call(live, NULL);
}

unsigned outbox_in_flight(const struct node *node)
{
    return node->in_flight;
}

struct live *outbox_first(const struct node *node)
{
    return due_first(&node->reports);
}

void outbox_wake(struct node *node, int64_t now_ms)
{
    switch (server_link_take_wake(node)) {
    case SERVER_WAKE_NONE:
        return;
    case SERVER_WAKE_ALL:
        for (struct live *live = node->roster.first; live; live = live->next)
            live->delivery.is_held = false;
        break;
    case SERVER_WAKE_WAITING:
        break;
    }
    wake_all(node, now_ms);
}

static void cancel_call(struct live *live)
{
    if (live->delivery.call)
        http_cancel(live->delivery.call);
    set_call(live, NULL);
}

void outbox_cancel(struct live *live, int64_t due_ms)
{
    cancel_call(live);
    wait_until(live, due_ms);
}

void outbox_retry(struct live *live)
{
    struct live_delivery *delivery = &live->delivery;
    wait_until(live, 0);
    delivery->floor_ms = 0;
    delivery->is_held = delivery->is_silent = false;
}

void outbox_client_replaced(struct node *node)
{
    for (struct live *live = node->roster.first; live; live = live->next) {
        set_call(live, NULL);
        if (live->delivery.is_silent)
            continue; /* a pause before bypassing the cache is kept to its end (delivery.h) */
        wait_until(live, 0);
        live->delivery.floor_ms = 0;
    }
}

/* The pause continues where an earlier run of the agent left it. */
static void read_silence(struct live *live, int dir)
{
    struct live_delivery *delivery = &live->delivery;
    int64_t since_us;
    delivery->past_cache = delivery->is_silent = live->state == JOB_SEALED &&
                                                 record_read_silence(dir, live->token, &since_us);
    if (delivery->is_silent)
        wait_until(live, mono_ms() + delivery_silence_left_ms(since_us, wall_us()));
}

static void on_state(struct live *live, int dir, enum job_state former)
{
    (void)former;
    live->delivery.since_us = 0;
    live->delivery.failures = 0;
    live->delivery.is_failure = live->state == JOB_FAILED;
    wait_until(live, 0);
    read_silence(live, dir);
}

/* An ordinary claim may be faster than the reclaim of the same job, which is then useless. And the
 * answer to a report in flight would be about the former claim: "lost" would end the work that the
 * new claim is for. */
static void on_claim(struct live *live)
{
    cancel_call(live);
    outbox_retry(live);
    live->delivery.past_cache = false;
}

static void on_hold(struct live *live, const char *why)
{
    if (why) {
        cancel_call(live);
        snprintf(live->delivery.reason, sizeof live->delivery.reason, "%.255s", why);
    }
    wait_until(live, live->delivery.due.at_ms);
}

static void on_forget(struct live *live)
{
    cancel_call(live);
    due_take(&live->node->reports, &live->delivery.due);
}

const struct roster_owner outbox_owner = {
    .on_state = on_state, .on_claim = on_claim, .on_hold = on_hold, .on_forget = on_forget};
