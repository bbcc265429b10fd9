#include "verifier/base/wakeup.h"

#include <criterion/criterion.h>
#include <poll.h>

static bool is_readable(const struct wakeup *wakeup)
{
    struct pollfd fd = {.fd = wakeup_fd(wakeup), .events = POLLIN};
    return poll(&fd, 1, 0) == 1;
}

Test(wakeup, a_notification_is_seen_once)
{
    struct wakeup *wakeup = wakeup_new();
    cr_expect_not(is_readable(wakeup));
    wakeup_notify(wakeup);
    wakeup_notify(wakeup);
    cr_expect(is_readable(wakeup));
    wakeup_clear(wakeup);
    cr_expect_not(is_readable(wakeup));
    wakeup_clear(wakeup); /* does not block */
    wakeup_free(wakeup);
}

Test(wakeup, a_notification_before_the_wait_is_not_lost)
{
    struct wakeup *wakeup = wakeup_new();
    uint64_t seen = wakeup_count(wakeup);
    wakeup_notify(wakeup);
    wakeup_clear(wakeup);
    cr_expect_neq(wakeup_count(wakeup), seen);
    wakeup_free(wakeup);
}

Test(wakeup, closing_is_seen_like_a_notification)
{
    struct wakeup *wakeup = wakeup_new();
    cr_expect_not(wakeup_is_closed(wakeup));
    wakeup_close(wakeup);
    cr_expect(is_readable(wakeup));
    cr_expect(wakeup_is_closed(wakeup));
    wakeup_free(wakeup);
}
