/* wakeup: wakes the long polls of this process when there may be a job. It is a counter: a caller
 * passes the count it has seen, so that no notification between its check and its wait is lost. */
#ifndef VERIFIER_WAKEUP_H
#define VERIFIER_WAKEUP_H

#include <stdbool.h>
#include <stdint.h>

struct wakeup;
struct wakeup *wakeup_new(void);
void wakeup_free(struct wakeup *wakeup); /* no thread may be waiting */

uint64_t wakeup_count(struct wakeup *wakeup);
void wakeup_notify(struct wakeup *wakeup);
/* Returns after a notification since `seen`, after wakeup_close, or after timeout_ms. */
void wakeup_wait(struct wakeup *wakeup, uint64_t seen, int64_t timeout_ms);

/* Ends all waits, because the process is stopping. */
void wakeup_close(struct wakeup *wakeup);
bool wakeup_is_closed(struct wakeup *wakeup);

#endif
