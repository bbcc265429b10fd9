#include "verifier/sweeper/sweeper.h"

#include "base/log.h"
#include "lib/uuid.h"
#include "verifier/base/deadline.h"
#include "verifier/store/store_cleanup.h"
#include "verifier/store/store_metrics.h"
#include "verifier/sweeper/orphans.h"

#include <stdlib.h>
#include <string.h>

struct sweeper {
    struct sweeper_settings settings;
    char instance[TAILSLATE_UUID_BYTES];
    struct orphans *orphans;
    int64_t interval_ms;
    /* By boot_ms, which also counts while the machine sleeps; 0: no tick yet. alive: when the
     * fleet's row was last written. */
    int64_t due_ms, alive_ms;
    bool leads, is_failing, is_calm;
    enum store_outcome last;
    /* The thread. */
    bool started;
    bool ends; /* under the lock, and: */
    int64_t end_by_ms;
    struct sweeper_settings wanted; /* only the intervals */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t asked;
};

struct sweeper_settings sweeper_settings_of(const struct verifier_config *config)
{
    return (struct sweeper_settings){
        .sweep_ms = (int64_t)(config->sweeper.interval_seconds * 1000),
        .cleanup_ms = (int64_t)(config->sweeper.cleanup_minutes * 60 * 1000),
        .trash_ms = (int64_t)(config->sweeper.trash_hours * 3600 * 1000),
    };
}

static void take_intervals(struct sweeper *sweeper)
{
    struct sweeper_settings *settings = &sweeper->settings;
    pthread_mutex_lock(&sweeper->lock);
    settings->sweep_ms = sweeper->wanted.sweep_ms;
    settings->cleanup_ms = sweeper->wanted.cleanup_ms;
    settings->trash_ms = sweeper->wanted.trash_ms;
    pthread_mutex_unlock(&sweeper->lock);
    sweeper->interval_ms = settings->sweep_ms < GRACE_ALIVE_MS ? settings->sweep_ms
                                                               : GRACE_ALIVE_MS;
    orphans_set_trash_ms(sweeper->orphans, settings->trash_ms);
}

struct sweeper *sweeper_new(const struct sweeper_settings *settings)
{
    struct sweeper *sweeper = must_calloc(1, sizeof *sweeper);
    struct orphans_settings orphans = {
        .store = settings->store, .files = settings->files, .trash_ms = settings->trash_ms};
    sweeper->settings = *settings;
    sweeper->orphans = orphans_new(&orphans);
    sweeper->last = SWEEP_NOTHING;
    uuid_make_v4(sweeper->instance);
    must(pthread_cond_init(&sweeper->asked, NULL) == 0);
    must(pthread_mutex_init(&sweeper->lock, NULL) == 0);
    sweeper->wanted = *settings;
    take_intervals(sweeper);
    return sweeper;
}

/* Logs once when failures begin and once when they end. */
static void log_failure(struct sweeper *sweeper, const struct error *err)
{
    if (err && !sweeper->is_failing)
        log_warning("sweeper.failing", LOG_TEXT("error", err->message));
    else if (!err && sweeper->is_failing)
        log_info("sweeper.recovered");
    sweeper->is_failing = err != NULL;
}

static void log_tick(struct sweeper *sweeper, const struct store_tick *tick)
{
    store_metrics_tick(tick);
    if (tick->jump_ms != 0)
        log_warning("sweeper.clock_jumped", LOG_INT("jump_ms", tick->jump_ms),
                    LOG_TEXT("reason",
                             "the database's clock was changed; this is not an outage, and workers "
                             "get time to send a heartbeat"));
    if (tick->credit_ms > 0)
        log_warning("sweeper.outage", LOG_INT("gap_ms", tick->gap_ms),
                    LOG_INT("credit_ms", tick->credit_ms), LOG_INT("claims", tick->credited),
                    LOG_TEXT("reason", store_outcome_reason(SWEEP_OUTAGE)));
    if (tick->leads != sweeper->leads)
        log_info(tick->leads ? "sweeper.leads" : "sweeper.follows",
                 LOG_TEXT("instance", sweeper->instance));
    sweeper->leads = tick->leads;
}

/* Logs a change of what holds sweeps back; a release has its own lines. */
static void log_outcome(struct sweeper *sweeper, enum store_outcome outcome)
{
    bool changed = outcome != sweeper->last;
    if (changed && !store_sweep_succeeded(outcome))
        log_at(outcome == SWEEP_MASS_SILENCE ? LOG_ERROR : LOG_INFO, "sweeper.waits",
               LOG_TEXT("outcome", store_outcome_name(outcome)),
               LOG_TEXT("reason", store_outcome_reason(outcome)));
    else if (changed && !store_sweep_succeeded(sweeper->last))
        log_info("sweeper.resumed");
    sweeper->last = outcome;
    sweeper->is_calm = store_sweep_succeeded(outcome);
}

/* Redis is asked only if the database has no recent sweep. */
static int64_t last_run_ms(const struct sweeper *sweeper, const struct store_tick *tick)
{
    if (!grace_is_due(tick->now_ms, tick->last_sweep_ms, GRACE_KNOWN_MS))
        return 0;
    return gate_last_sweep_ms(sweeper->settings.gate, GATE_SWEEP_STALE_JOBS);
}

static int sweep(struct sweeper *sweeper, const struct store_tick *tick, struct error *err)
{
    struct store_sweep request = {.instance = sweeper->instance,
                                  .last_run_ms = last_run_ms(sweeper, tick)};
    int result = store_sweep(sweeper->settings.store, &request, err);
    /* Also if a later batch failed: the released jobs wait for a worker. */
    if (request.count > 0 && sweeper->settings.wakeup)
        wakeup_notify(sweeper->settings.wakeup);
    if (result == 0) {
        log_outcome(sweeper, request.outcome);
        if (store_sweep_succeeded(request.outcome))
            gate_note_sweep(sweeper->settings.gate, GATE_SWEEP_STALE_JOBS, request.swept_at);
    }
    store_sweep_fini(&request);
    return result;
}

static int clean_up(struct sweeper *sweeper, struct error *err)
{
    bool complete, noted;
    char now[WALL_TEXT_BYTES];
    struct store *store = sweeper->settings.store;
    if (orphans_work(sweeper->orphans, SWEEPER_SLICE_MS, &complete, err) != 0)
        return -1;
    if (!complete)
        return 0;
    if (store_note_cleanup(store, sweeper->instance, now, &noted, err) != 0)
        return -1;
    if (noted)
        gate_note_sweep(sweeper->settings.gate, GATE_SWEEP_ORPHANS, now);
    return 0;
}

static int lead(struct sweeper *sweeper, const struct store_tick *tick, struct error *err)
{
    const struct sweeper_settings *settings = &sweeper->settings;
    if (grace_is_due(tick->now_ms, tick->last_sweep_ms, settings->sweep_ms) &&
        sweep(sweeper, tick, err) != 0)
        return -1;
    /* Not while sweeps are held back: if workers cannot be judged, their files cannot either. */
    char reason[FILES_REASON_BYTES];
    if (sweeper->is_calm && !files_problem(settings->files, reason) &&
        grace_is_due(tick->now_ms, tick->last_cleanup_ms, settings->cleanup_ms))
        return clean_up(sweeper, err);
    return 0;
}

static int skip_overdue(struct sweeper *sweeper, int64_t late_ms, struct error *err)
{
    log_warning("sweeper.tick_overdue", LOG_INT("late_ms", late_ms),
                LOG_TEXT("reason", store_outcome_reason(SWEEP_TICK_OVERDUE)));
    store_metrics_sweep(SWEEP_TICK_OVERDUE);
    return store_note_outcome(sweeper->settings.store, sweeper->instance, SWEEP_TICK_OVERDUE, err);
}

static int tick_once(struct sweeper *sweeper, int64_t now_ms, struct error *err)
{
    struct store_tick tick = {0};
    bool late = sweeper->due_ms != 0 &&
                grace_tick_is_overdue(now_ms, sweeper->due_ms, sweeper->interval_ms);
    int64_t own_ms = sweeper->alive_ms ? now_ms - sweeper->alive_ms : -1;
    if (store_alive(sweeper->settings.store, sweeper->instance, own_ms, &tick, err) != 0)
        return -1;
    sweeper->alive_ms = now_ms;
    log_tick(sweeper, &tick);
    if (late)
        return skip_overdue(sweeper, now_ms - sweeper->due_ms, err);
    return tick.leads ? lead(sweeper, &tick, err) : 0;
}

void sweeper_tick(struct sweeper *sweeper, int64_t boot_now_ms)
{
    struct error err;
    bool succeeded = tick_once(sweeper, boot_now_ms, &err) == 0;
    log_failure(sweeper, succeeded ? NULL : &err);
    sweeper->due_ms = boot_now_ms + sweeper->interval_ms;
}

/* False: the thread has to end. */
static bool wait_for_next(struct sweeper *sweeper)
{
    /* From here, not from the beginning of the tick: its own work does not make it overdue. */
    int64_t until_ms = mono_ms() + sweeper->interval_ms;
    sweeper->due_ms = boot_ms() + sweeper->interval_ms;
    pthread_mutex_lock(&sweeper->lock);
    while (!sweeper->ends && deadline_wait(&sweeper->asked, &sweeper->lock, until_ms))
        ;
    bool may_continue = !sweeper->ends;
    pthread_mutex_unlock(&sweeper->lock);
    return may_continue;
}

/* So that another verifier leads at once; otherwise the lease expires. A database that does not
 * answer is not waited for, because the process is stopping. */
static void resign(struct sweeper *sweeper)
{
    struct error err;
    if (sweeper->leads && !sweeper->is_failing &&
        store_resign(sweeper->settings.store, sweeper->instance, &err) != 0)
        log_warning("sweeper.failing", LOG_TEXT("error", err.message));
}

static void *run(void *ctx)
{
    struct sweeper *sweeper = ctx;
    while (wait_for_next(sweeper)) {
        take_intervals(sweeper);
        sweeper_tick(sweeper, boot_ms());
    }
    resign(sweeper);
    return NULL;
}

void sweeper_start(struct sweeper *sweeper)
{
    sweeper_tick(sweeper, boot_ms());
    must(pthread_create(&sweeper->thread, NULL, run, sweeper) == 0);
    sweeper->started = true;
}

void sweeper_reconfigure(struct sweeper *sweeper, const struct sweeper_settings *settings)
{
    if (!sweeper)
        return;
    pthread_mutex_lock(&sweeper->lock);
    sweeper->wanted = *settings;
    pthread_mutex_unlock(&sweeper->lock);
}

void sweeper_stop(struct sweeper *sweeper)
{
    if (!sweeper)
        return;
    pthread_mutex_lock(&sweeper->lock);
    if (!sweeper->ends)
        sweeper->end_by_ms = mono_ms() + SWEEPER_END_MS;
    sweeper->ends = true;
    pthread_cond_signal(&sweeper->asked);
    pthread_mutex_unlock(&sweeper->lock);
}

bool sweeper_free(struct sweeper *sweeper)
{
    if (!sweeper)
        return true;
    sweeper_stop(sweeper);
    if (!sweeper->started)
        resign(sweeper);
    else if (!deadline_join(sweeper->thread, sweeper->end_by_ms))
        return false;
    orphans_free(sweeper->orphans);
    pthread_cond_destroy(&sweeper->asked);
    pthread_mutex_destroy(&sweeper->lock);
    free(sweeper);
    return true;
}
