/* pulse: whether the store and the folders can be used, known within a bounded time.
 *
 * One thread asks; who wants to know wakes it and waits for at most PULSE_WAIT_MS. A database that
 * hangs therefore hangs no health check, and a hundred checks at once are one question. What was
 * answered within the last PULSE_FRESH_MS is answered again. */
#ifndef VERIFIER_PULSE_H
#define VERIFIER_PULSE_H

#include "verifier/files/files.h"
#include "verifier/store/store.h"

enum { PULSE_WAIT_MS = 700, PULSE_FRESH_MS = 500, PULSE_STOP_MS = 1000 };

struct pulse_report {
    bool store_is_up, files_are_up;
    bool is_late;               /* no answer in time: both are taken for down */
    struct store_counts counts; /* meaningful where store_is_up */
};

struct pulse;
struct pulse *pulse_start(struct store *store, const struct files *files);
void pulse_take(struct pulse *pulse, struct pulse_report *report);
/* False: the store still hangs; nothing of it may be freed then, only _exit. */
bool pulse_stop(struct pulse *pulse);

#endif
