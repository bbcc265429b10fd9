#include "verifier/http/health_probe.h"

#include "base/clock.h"
#include "lib/error.h"
#include "verifier/base/deadline.h"

#include <stdlib.h>

struct health_probe {
    struct store *store;
    const struct files *files;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t asked, answered;
    bool is_asked, is_stopping;
    int64_t probed_ms;       /* when the probe that `last` reports began */
    int64_t asking_since_ms; /* the first question without an answer; 0: none */
    struct health_probe_report last;
};

static void probe_once(struct health_probe *probe, struct health_probe_report *report)
{
    struct error err;
    *report = (struct health_probe_report){0};
    report->store_is_up = store_ping(probe->store, &err) == 0 &&
                          store_count(probe->store, &report->counts, &err) == 0;
    report->files_are_up = !files_problem(probe->files, report->files_reason);
}

static void *run(void *ctx)
{
    struct health_probe *probe = ctx;
    pthread_mutex_lock(&probe->lock);
    for (;;) {
        while (!probe->is_asked && !probe->is_stopping)
            pthread_cond_wait(&probe->asked, &probe->lock);
        if (probe->is_stopping)
            break;
        probe->is_asked = false;
        int64_t started_ms = mono_ms();
        struct health_probe_report report;
        pthread_mutex_unlock(&probe->lock);
        probe_once(probe, &report);
        pthread_mutex_lock(&probe->lock);
        probe->last = report;
        probe->probed_ms = started_ms;
        probe->asking_since_ms = 0;
        pthread_cond_broadcast(&probe->answered);
    }
    pthread_mutex_unlock(&probe->lock);
    return NULL;
}

struct health_probe *health_probe_start(struct store *store, const struct files *files)
{
    struct health_probe *probe = must_calloc(1, sizeof *probe);
    probe->store = store;
    probe->files = files;
    probe->probed_ms = mono_ms() - HEALTH_PROBE_FRESH_MS - 1;
    must(pthread_mutex_init(&probe->lock, NULL) == 0);
    must(pthread_cond_init(&probe->asked, NULL) == 0);
    must(pthread_cond_init(&probe->answered, NULL) == 0);
    must(pthread_create(&probe->thread, NULL, run, probe) == 0);
    return probe;
}

void health_probe_take(struct health_probe *probe, struct health_probe_report *report)
{
    int64_t until_ms = mono_ms() + HEALTH_PROBE_WAIT_MS;
    pthread_mutex_lock(&probe->lock);
    int64_t fresh_ms = mono_ms() - HEALTH_PROBE_FRESH_MS;
    bool in_time = true;
    while (probe->probed_ms < fresh_ms && in_time) {
        probe->is_asked = true;
        pthread_cond_signal(&probe->asked);
        if (!probe->asking_since_ms)
            probe->asking_since_ms = mono_ms();
        int64_t late_ms = probe->asking_since_ms + HEALTH_PROBE_WAIT_MS;
        in_time = deadline_wait(&probe->answered, &probe->lock,
                                late_ms < until_ms ? late_ms : until_ms);
    }
    *report = probe->probed_ms >= fresh_ms ? probe->last
                                           : (struct health_probe_report){.is_late = true};
    pthread_mutex_unlock(&probe->lock);
}

bool health_probe_stop(struct health_probe *probe)
{
    int64_t until_ms = mono_ms() + HEALTH_PROBE_STOP_MS;
    pthread_mutex_lock(&probe->lock);
    probe->is_stopping = true;
    pthread_cond_signal(&probe->asked);
    pthread_mutex_unlock(&probe->lock);
    if (!deadline_join(probe->thread, until_ms))
        return false;
    pthread_cond_destroy(&probe->asked);
    pthread_cond_destroy(&probe->answered);
    pthread_mutex_destroy(&probe->lock);
    free(probe);
    return true;
}
