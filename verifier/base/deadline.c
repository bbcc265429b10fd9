#include "verifier/base/deadline.h"

#include "lib/error.h"

#include <errno.h>
#include <time.h>

static struct timespec time_of(int64_t ms)
{
    return (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
}

static bool is_in_time(int result)
{
    must(result == 0 || result == ETIMEDOUT);
    return result == 0;
}

bool deadline_wait(pthread_cond_t *changed, pthread_mutex_t *lock, int64_t until_ms)
{
    struct timespec until = time_of(until_ms);
    return is_in_time(pthread_cond_clockwait(changed, lock, CLOCK_MONOTONIC, &until));
}

bool deadline_lock(pthread_mutex_t *lock, int64_t until_ms)
{
    struct timespec until = time_of(until_ms);
    return is_in_time(pthread_mutex_clocklock(lock, CLOCK_MONOTONIC, &until));
}

bool deadline_down(sem_t *semaphore, int64_t until_ms)
{
    struct timespec until = time_of(until_ms);
    int result;
    while ((result = sem_clockwait(semaphore, CLOCK_MONOTONIC, &until)) != 0 && errno == EINTR)
        ;
    return is_in_time(result == 0 ? 0 : errno);
}

bool deadline_join(pthread_t thread, int64_t until_ms)
{
    struct timespec until = time_of(until_ms);
    return is_in_time(pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until));
}
