#include "base/clock.h"
#include "verifier/base/deadline.h"

#include <criterion/criterion.h>

/* No test waits for the other one's sake: a deadline is either near and awaited, or far away. */
enum { NEAR_MS = 30, FAR_MS = 60 * 1000 };

struct meeting {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool has_come;
};

static void *come(void *ctx)
{
    struct meeting *meeting = ctx;
    pthread_mutex_lock(&meeting->lock);
    meeting->has_come = true;
    pthread_cond_signal(&meeting->changed);
    pthread_mutex_unlock(&meeting->lock);
    return NULL;
}

static void *hold_up(void *ctx)
{
    struct meeting *meeting = ctx;
    pthread_mutex_lock(&meeting->lock);
    pthread_mutex_unlock(&meeting->lock);
    return NULL;
}

Test(deadline, a_wait_ends_when_it_is_signalled_and_not_only_at_its_end)
{
    struct meeting meeting = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    pthread_t thread;
    int64_t until_ms = mono_ms() + FAR_MS;
    pthread_mutex_lock(&meeting.lock);
    cr_assert_eq(pthread_create(&thread, NULL, come, &meeting), 0);
    while (!meeting.has_come && deadline_wait(&meeting.changed, &meeting.lock, until_ms))
        ;
    cr_expect(meeting.has_come);
    cr_expect_lt(mono_ms(), until_ms);
    pthread_mutex_unlock(&meeting.lock);
    cr_expect(deadline_join(thread, until_ms));
}

Test(deadline, a_wait_that_nobody_ends_is_over_at_its_time_and_not_before)
{
    struct meeting meeting = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    int64_t until_ms = mono_ms() + NEAR_MS;
    pthread_mutex_lock(&meeting.lock);
    while (deadline_wait(&meeting.changed, &meeting.lock, until_ms))
        ;
    cr_expect_geq(mono_ms(), until_ms);
    cr_expect_not(deadline_wait(&meeting.changed, &meeting.lock, mono_ms() - 1), "long over");
    pthread_mutex_unlock(&meeting.lock);
}

static void *knock(void *ctx)
{
    struct meeting *meeting = ctx;
    int64_t until_ms = mono_ms() + NEAR_MS;
    cr_expect_not(deadline_lock(&meeting->lock, until_ms));
    cr_expect_geq(mono_ms(), until_ms);
    return NULL;
}

Test(deadline, a_lock_is_waited_for_until_then)
{
    struct meeting meeting = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    pthread_t thread;
    cr_expect(deadline_lock(&meeting.lock, mono_ms() + FAR_MS));
    cr_assert_eq(pthread_create(&thread, NULL, knock, &meeting), 0);
    cr_expect(deadline_join(thread, mono_ms() + FAR_MS));
    pthread_mutex_unlock(&meeting.lock);
}

Test(deadline, a_thread_is_waited_for_until_then)
{
    struct meeting meeting = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    pthread_t thread;
    pthread_mutex_lock(&meeting.lock);
    cr_assert_eq(pthread_create(&thread, NULL, hold_up, &meeting), 0);
    int64_t until_ms = mono_ms() + NEAR_MS;
    cr_expect_not(deadline_join(thread, until_ms));
    cr_expect_geq(mono_ms(), until_ms);
    pthread_mutex_unlock(&meeting.lock);
    cr_expect(deadline_join(thread, mono_ms() + FAR_MS));
}
