/* bell: wakes the long polls of this process when there may be a job. A level, not an edge: who
 * waits gives the count it has seen, so that no ring between its look and its wait is lost. */
#ifndef VERIFIER_BELL_H
#define VERIFIER_BELL_H

#include <stdbool.h>
#include <stdint.h>

struct bell;
struct bell *bell_new(void);
void bell_free(struct bell *bell); /* nobody may wait */

uint64_t bell_count(struct bell *bell);
void bell_ring(struct bell *bell);
/* Returns when it has rung since `seen`, or has been closed, or after timeout_ms. */
void bell_wait(struct bell *bell, uint64_t seen, int64_t timeout_ms);

/* No wait lasts any longer: the process ends. */
void bell_close(struct bell *bell);
bool bell_is_closed(struct bell *bell);

#endif
