/* deadline: waits of a thread that end at a time of the monotonic clock (mono_ms), so that setting
 * the clock of the wall neither ends nor prolongs one.
 *
 * False: the time is over. Fatal: a wait that cannot be, which is a bug. */
#ifndef VERIFIER_DEADLINE_H
#define VERIFIER_DEADLINE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Call with the lock held. True does not mean that the condition holds: check again. */
bool deadline_wait(pthread_cond_t *changed, pthread_mutex_t *lock, int64_t until_ms);
bool deadline_lock(pthread_mutex_t *lock, int64_t until_ms);
bool deadline_join(pthread_t thread, int64_t until_ms);

#endif
