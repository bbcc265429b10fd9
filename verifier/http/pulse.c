#include "verifier/http/pulse.h"

#include "base/clock.h"
#include "lib/error.h"
#include "verifier/base/deadline.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct pulse {
    struct store *store;
    const struct files *files;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t asked, answered;
    bool is_asked, is_stopping;
    int64_t beat_ms; /* when the question was put that `last` answers */
    struct pulse_report last;
};

/* We hold the folder open: whether it still stands where it stood, its links say. */
static bool is_usable(int folder, int mode)
{
    struct stat status;
    return fstat(folder, &status) == 0 && status.st_nlink > 0 &&
           faccessat(folder, ".", mode, AT_EACCESS) == 0;
}

static void look(struct pulse *pulse, struct pulse_report *report)
{
    struct error err;
    *report = (struct pulse_report){0};
    report->store_is_up = store_ping(pulse->store, &err) == 0 &&
                          store_count(pulse->store, &report->counts, &err) == 0;
    report->files_are_up = is_usable(pulse->files->uploads, R_OK | X_OK) &&
                           is_usable(pulse->files->videos, W_OK | X_OK);
}

static void *beat(void *ctx)
{
    struct pulse *pulse = ctx;
    pthread_mutex_lock(&pulse->lock);
    for (;;) {
        while (!pulse->is_asked && !pulse->is_stopping)
            pthread_cond_wait(&pulse->asked, &pulse->lock);
        if (pulse->is_stopping)
            break;
        pulse->is_asked = false;
        int64_t started_ms = mono_ms();
        struct pulse_report report;
        pthread_mutex_unlock(&pulse->lock);
        look(pulse, &report);
        pthread_mutex_lock(&pulse->lock);
        pulse->last = report;
        pulse->beat_ms = started_ms;
        pthread_cond_broadcast(&pulse->answered);
    }
    pthread_mutex_unlock(&pulse->lock);
    return NULL;
}

struct pulse *pulse_start(struct store *store, const struct files *files)
{
    struct pulse *pulse = must_calloc(1, sizeof *pulse);
    pulse->store = store;
    pulse->files = files;
    pulse->beat_ms = mono_ms() - PULSE_FRESH_MS - 1;
    must(pthread_mutex_init(&pulse->lock, NULL) == 0);
    must(pthread_cond_init(&pulse->asked, NULL) == 0);
    must(pthread_cond_init(&pulse->answered, NULL) == 0);
    must(pthread_create(&pulse->thread, NULL, beat, pulse) == 0);
    return pulse;
}

void pulse_take(struct pulse *pulse, struct pulse_report *report)
{
    int64_t until_ms = mono_ms() + PULSE_WAIT_MS;
    pthread_mutex_lock(&pulse->lock);
    int64_t fresh_ms = mono_ms() - PULSE_FRESH_MS;
    bool in_time = true;
    while (pulse->beat_ms < fresh_ms && in_time) {
        pulse->is_asked = true;
        pthread_cond_signal(&pulse->asked);
        in_time = deadline_wait(&pulse->answered, &pulse->lock, until_ms);
    }
    *report = pulse->beat_ms >= fresh_ms ? pulse->last : (struct pulse_report){.is_late = true};
    pthread_mutex_unlock(&pulse->lock);
}

bool pulse_stop(struct pulse *pulse)
{
    int64_t until_ms = mono_ms() + PULSE_STOP_MS;
    pthread_mutex_lock(&pulse->lock);
    pulse->is_stopping = true;
    pthread_cond_signal(&pulse->asked);
    pthread_mutex_unlock(&pulse->lock);
    if (!deadline_join(pulse->thread, until_ms))
        return false;
    pthread_cond_destroy(&pulse->asked);
    pthread_cond_destroy(&pulse->answered);
    pthread_mutex_destroy(&pulse->lock);
    free(pulse);
    return true;
}
