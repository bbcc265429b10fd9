#include "base/clock.h"
#include "verifier/base/wakeup.h"

#include <criterion/criterion.h>
#include <pthread.h>

enum { LONG_MS = 20 * 1000 };

static void *notify(void *ctx)
{
    wakeup_notify(ctx);
    return NULL;
}

static void *shut(void *ctx)
{
    wakeup_close(ctx);
    return NULL;
}

static int64_t waited_ms(struct wakeup *wakeup, uint64_t seen, void *(*other)(void *))
{
    pthread_t thread;
    int64_t start_ms = mono_ms();
    cr_assert_eq(pthread_create(&thread, NULL, other, wakeup), 0);
    wakeup_wait(wakeup, seen, LONG_MS);
    pthread_join(thread, NULL);
    return mono_ms() - start_ms;
}

Test(wakeup, a_ring_wakes_who_waits)
{
    struct wakeup *wakeup = wakeup_new();
    cr_expect(waited_ms(wakeup, wakeup_count(wakeup), notify) < LONG_MS);
    wakeup_free(wakeup);
}

Test(wakeup, a_ring_before_the_wait_is_not_lost)
{
    struct wakeup *wakeup = wakeup_new();
    uint64_t seen = wakeup_count(wakeup);
    wakeup_notify(wakeup);
    int64_t start_ms = mono_ms();
    wakeup_wait(wakeup, seen, LONG_MS);
    cr_expect(mono_ms() - start_ms < LONG_MS);
    wakeup_free(wakeup);
}

Test(wakeup, closing_ends_every_wait)
{
    struct wakeup *wakeup = wakeup_new();
    cr_expect(waited_ms(wakeup, wakeup_count(wakeup), shut) < LONG_MS);
    cr_expect(wakeup_is_closed(wakeup));
    wakeup_wait(wakeup, wakeup_count(wakeup), LONG_MS);
    wakeup_free(wakeup);
}

Test(wakeup, without_a_ring_the_wait_ends_at_its_time)
{
    struct wakeup *wakeup = wakeup_new();
    int64_t start_ms = mono_ms();
    wakeup_wait(wakeup, wakeup_count(wakeup), 30);
    cr_expect(mono_ms() - start_ms >= 29);
    wakeup_free(wakeup);
}
