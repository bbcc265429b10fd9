/* deadline: waits that end at a time of the monotonic clock (mono_ms), so that changing the wall
 * clock neither shortens nor extends one.
 *
 * False: the deadline has passed. Fatal: an error of the wait itself, which is a bug. */
#ifndef VERIFIER_DEADLINE_H
#define VERIFIER_DEADLINE_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

/* Call with the lock held. True does not mean that the condition holds: check again. */
bool deadline_wait(pthread_cond_t *changed, pthread_mutex_t *lock, int64_t until_ms);
bool deadline_lock(pthread_mutex_t *lock, int64_t until_ms);
bool deadline_join(pthread_t thread, int64_t until_ms);
bool deadline_down(sem_t *semaphore, int64_t until_ms);

#endif
