/* wakeup: tells the thread behind the long polls of this process that there may be a job. It is a
 * counter beside a descriptor: who has seen a count knows later whether anything was notified
 * since, so that no notification between a check and the wait is lost. Thread-safe. */
#ifndef VERIFIER_WAKEUP_H
#define VERIFIER_WAKEUP_H

#include <stdbool.h>
#include <stdint.h>

struct wakeup;
struct wakeup *wakeup_new(void);
void wakeup_free(struct wakeup *wakeup);

uint64_t wakeup_count(struct wakeup *wakeup);
void wakeup_notify(struct wakeup *wakeup);

/* Readable from a notification or wakeup_close until wakeup_clear; borrowed, to be polled. */
int wakeup_fd(const struct wakeup *wakeup);
void wakeup_clear(struct wakeup *wakeup);

/* Ends all waits, because the process is stopping. */
void wakeup_close(struct wakeup *wakeup);
bool wakeup_is_closed(struct wakeup *wakeup);

#endif
