#include "base/clock.h"
#include "verifier/base/bell.h"

#include <criterion/criterion.h>
#include <pthread.h>

enum { LONG_MS = 20 * 1000 };

static void *ring(void *ctx)
{
    bell_ring(ctx);
    return NULL;
}

static void *shut(void *ctx)
{
    bell_close(ctx);
    return NULL;
}

static int64_t waited_ms(struct bell *bell, uint64_t seen, void *(*other)(void *))
{
    pthread_t thread;
    int64_t start_ms = mono_ms();
    cr_assert_eq(pthread_create(&thread, NULL, other, bell), 0);
    bell_wait(bell, seen, LONG_MS);
    pthread_join(thread, NULL);
    return mono_ms() - start_ms;
}

Test(bell, a_ring_wakes_who_waits)
{
    struct bell *bell = bell_new();
    cr_expect(waited_ms(bell, bell_count(bell), ring) < LONG_MS);
    bell_free(bell);
}

Test(bell, a_ring_before_the_wait_is_not_lost)
{
    struct bell *bell = bell_new();
    uint64_t seen = bell_count(bell);
    bell_ring(bell);
    int64_t start_ms = mono_ms();
    bell_wait(bell, seen, LONG_MS);
    cr_expect(mono_ms() - start_ms < LONG_MS);
    bell_free(bell);
}

Test(bell, closing_ends_every_wait)
{
    struct bell *bell = bell_new();
    cr_expect(waited_ms(bell, bell_count(bell), shut) < LONG_MS);
    cr_expect(bell_is_closed(bell));
    bell_wait(bell, bell_count(bell), LONG_MS);
    bell_free(bell);
}

Test(bell, without_a_ring_the_wait_ends_at_its_time)
{
    struct bell *bell = bell_new();
    int64_t start_ms = mono_ms();
    bell_wait(bell, bell_count(bell), 30);
    cr_expect(mono_ms() - start_ms >= 29);
    bell_free(bell);
}
