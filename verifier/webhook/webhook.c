#include "verifier/webhook/webhook.h"

#include "base/log.h"
#include "base/metrics.h"
#include "lib/cleanup.h"
#include "lib/uuid.h"
#include "verifier/base/deadline.h"
#include "verifier/store/store_event.h"
#include "verifier/webhook/signature.h"

#include <stdlib.h>
#include <string.h>

#define ATTEMPTS(outcome)                                                                          \
    METRIC_COUNTER("tailslate_webhook_attempts_total", "outcome=\"" outcome "\"",                  \
                   "Attempts to deliver an event, by outcome.")
enum counted { DELIVERED, FAILED, GIVEN_UP, WAITING, OLDEST, COUNTED };
static struct metric metrics[COUNTED] = {
    [DELIVERED] = ATTEMPTS("delivered"),
    [FAILED] = ATTEMPTS("failed"),
    [GIVEN_UP] = ATTEMPTS("given_up"),
    [WAITING] = METRIC_GAUGE("tailslate_webhook_waiting", 0,
                             "Events that the receiver has not accepted yet."),
    [OLDEST] = METRIC_GAUGE("tailslate_webhook_oldest_seconds", 0,
                            "Age of the oldest of them; 0: none waits."),
};

struct webhook {
    struct store *store;
    struct webhook_settings settings; /* the thread's */
    bool is_failing;
    int64_t pruned_ms, counted_ms; /* when last, by mono_ms */
    pthread_t thread;
    atomic_bool ends;
    /* Under the lock: */
    struct webhook_settings wanted;
    int64_t end_by_ms;
    pthread_mutex_t lock;
    pthread_cond_t asked;
};

void webhook_metrics_register(void)
{
    for (int i = 0; i < COUNTED; i++)
        metric_register(&metrics[i]);
}

int webhook_settings_read(const struct verifier_config *config, struct webhook_settings *settings,
                          struct error *err)
{
    enum { DAY_MS = 24 * 3600 * 1000 };
    *settings = (struct webhook_settings){
        .timeout_ms = (int64_t)(config->webhook.timeout_seconds * 1000),
        .keep_ms = (int64_t)(config->webhook.keep_days * DAY_MS),
        .backoff = {.base_ms = (int64_t)(config->webhook.retry_base_seconds * 1000),
                    .cap_ms = (int64_t)(config->webhook.retry_cap_seconds * 1000)}};
    if (!config->webhook.url[0])
        return 0;
    memcpy(settings->url, config->webhook.url, sizeof settings->url);
    memcpy(settings->ca_file, config->webhook.ca_file, sizeof settings->ca_file);
    if (config_read_secret(config->webhook.secret_file, settings->secret, err) != 0)
        return error_wrap(err, "webhook.secret_file");
    return 0;
}

/* ---- one attempt ----------------------------------------------------------------------------- */

void webhook_send(const struct webhook_settings *settings, const char *event, const char *delivery,
                  const char *body, const atomic_bool *is_broken_off, struct post_answer *answer)
{
    int64_t now_s = wall_us() / 1000000;
    char signature[SIGNATURE_BYTES];
    signature_make(settings->secret, now_s, body, signature);
    TEXT(event_line) = must_printf("X-Tailslate-Event: %s", event);
    TEXT(delivery_line) = must_printf("X-Tailslate-Delivery: %s", delivery);
    TEXT(time_line) = must_printf("X-Tailslate-Timestamp: %lld", (long long)now_s);
    TEXT(signature_line) = must_printf("X-Tailslate-Signature: %s", signature);
    struct post post = {.url = settings->url,
                        .ca_file = settings->ca_file,
                        .headers = {event_line, delivery_line, time_line, signature_line},
                        .body = body,
                        .timeout_ms = settings->timeout_ms,
                        .is_broken_off = is_broken_off};
    post_send(&post, answer);
    if (answer->status != 0 && !webhook_is_accepted(answer))
        snprintf(answer->reason, sizeof answer->reason, "the receiver answered %ld",
                 answer->status);
}

/* Logs once when failures begin and once when they end. reason NULL: none. */
static void note_failure(struct webhook *webhook, const char *reason)
{
    if (reason && !webhook->is_failing)
        log_warning("webhook.failing", LOG_TEXT("reason", reason));
    else if (!reason && webhook->is_failing)
        log_info("webhook.recovered");
    webhook->is_failing = reason != NULL;
}

static int settle_accepted(struct webhook *webhook, const struct store_event *event,
                           struct error *err)
{
    if (store_event_delivered(webhook->store, event, err) != 0)
        return -1;
    metric_add(&metrics[DELIVERED], 1);
    log_info("webhook.delivered", LOG_TEXT("name", event->name), LOG_INT("job", event->job_id),
             LOG_TEXT("delivery", event->delivery), LOG_INT("attempts", event->attempts));
    note_failure(webhook, NULL);
    return 0;
}

static int settle_failed(struct webhook *webhook, const struct store_event *event,
                         const struct post_answer *answer, struct error *err)
{
    bool given_up;
    int64_t delay_ms = tailslate_backoff_delay_ms(webhook->settings.backoff,
                                                  (unsigned)(event->attempts - 1),
                                                  answer->retry_after_ms, random_u64());
    note_failure(webhook, answer->reason);
    if (store_event_failed(webhook->store, event, answer->reason, delay_ms,
                           webhook->settings.keep_ms, &given_up, err) != 0)
        return -1;
    metric_add(&metrics[given_up ? GIVEN_UP : FAILED], 1);
    log_at(given_up ? LOG_ERROR : LOG_DEBUG, given_up ? "webhook.given_up" : "webhook.failed",
           LOG_TEXT("name", event->name), LOG_INT("job", event->job_id),
           LOG_TEXT("delivery", event->delivery), LOG_INT("attempts", event->attempts),
           LOG_TEXT("reason", answer->reason));
    return 0;
}

/* 1: it was accepted, 0: it was not. */
static int attempt(struct webhook *webhook, const struct store_event *event, struct error *err)
{
    struct post_answer answer;
    webhook_send(&webhook->settings, event->name, event->delivery, event->payload, &webhook->ends,
                 &answer);
    if (webhook_is_accepted(&answer))
        return settle_accepted(webhook, event, err) == 0 ? 1 : -1;
    if (atomic_load(&webhook->ends) && answer.status == 0)
        return store_event_put_back(webhook->store, event, err);
    return settle_failed(webhook, event, &answer, err);
}

/* 1: an event was accepted, and there may be more; 0: there is nothing to do now. */
static int deliver_next(struct webhook *webhook, struct error *err)
{
    struct store_event event;
    int64_t lease_ms = webhook->settings.timeout_ms + WEBHOOK_LEASE_MARGIN_MS;
    if (store_event_take(webhook->store, lease_ms, &event, err) != 0)
        return -1;
    int result = event.id ? attempt(webhook, &event, err) : 0;
    store_event_fini(&event);
    return result;
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void take_settings(struct webhook *webhook)
{
    pthread_mutex_lock(&webhook->lock);
    webhook->settings = webhook->wanted;
    pthread_mutex_unlock(&webhook->lock);
}

static bool is_time(int64_t *last_ms, int64_t interval_ms)
{
    int64_t now_ms = mono_ms();
    if (*last_ms != 0 && now_ms - *last_ms < interval_ms)
        return false;
    *last_ms = now_ms;
    return true;
}

static int count(struct webhook *webhook, struct error *err)
{
    struct store_events events;
    int64_t now_us = 0, since_us = 0;
    if (store_events(webhook->store, &events, err) != 0)
        return -1;
    if (wall_parse(events.since, &since_us))
        must(wall_parse(events.now, &now_us));
    metric_set(&metrics[WAITING], events.waiting);
    metric_set(&metrics[OLDEST], (now_us - since_us) / 1000000);
    return 0;
}

static void tick(struct webhook *webhook)
{
    struct error err;
    int more = 1;
    do {
        take_settings(webhook);
        if (webhook->settings.url[0])
            more = deliver_next(webhook, &err);
        else
            more = 0;
    } while (more == 1 && !atomic_load(&webhook->ends));
    if (more >= 0 && is_time(&webhook->pruned_ms, WEBHOOK_PRUNE_MS))
        more = store_event_prune(webhook->store, webhook->settings.keep_ms, &err);
    if (more >= 0 && is_time(&webhook->counted_ms, WEBHOOK_COUNT_MS))
        more = count(webhook, &err);
    if (more < 0)
        note_failure(webhook, err.message);
}

/* False: the thread has to end. */
static bool wait_for_next(struct webhook *webhook)
{
    int64_t until_ms = mono_ms() + WEBHOOK_POLL_MS;
    pthread_mutex_lock(&webhook->lock);
    while (!atomic_load(&webhook->ends) && deadline_wait(&webhook->asked, &webhook->lock, until_ms))
        ;
    pthread_mutex_unlock(&webhook->lock);
    return !atomic_load(&webhook->ends);
}

static void *run(void *ctx)
{
    struct webhook *webhook = ctx;
    do
        tick(webhook);
    while (wait_for_next(webhook));
    return NULL;
}

struct webhook *webhook_start(struct store *store, const struct webhook_settings *settings)
{
    struct webhook *webhook = must_calloc(1, sizeof *webhook);
    webhook->store = store;
    webhook->wanted = *settings;
    must(pthread_cond_init(&webhook->asked, NULL) == 0);
    must(pthread_mutex_init(&webhook->lock, NULL) == 0);
    must(pthread_create(&webhook->thread, NULL, run, webhook) == 0);
    return webhook;
}

void webhook_reconfigure(struct webhook *webhook, const struct webhook_settings *settings)
{
    pthread_mutex_lock(&webhook->lock);
    webhook->wanted = *settings;
    pthread_mutex_unlock(&webhook->lock);
}

void webhook_stop(struct webhook *webhook)
{
    pthread_mutex_lock(&webhook->lock);
    if (!atomic_load(&webhook->ends))
        webhook->end_by_ms = mono_ms() + WEBHOOK_END_MS;
    atomic_store(&webhook->ends, true);
    pthread_cond_signal(&webhook->asked);
    pthread_mutex_unlock(&webhook->lock);
}

bool webhook_free(struct webhook *webhook)
{
    webhook_stop(webhook);
    if (!deadline_join(webhook->thread, webhook->end_by_ms))
        return false;
    pthread_cond_destroy(&webhook->asked);
    pthread_mutex_destroy(&webhook->lock);
    explicit_bzero(webhook, sizeof *webhook);
    free(webhook);
    return true;
}
