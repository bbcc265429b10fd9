#include "verifier/base/wakeup.h"

#include "lib/error.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct wakeup {
    int fd;
    _Atomic uint64_t count;
    atomic_bool closed;
};

struct wakeup *wakeup_new(void)
{
    struct wakeup *wakeup = must_calloc(1, sizeof *wakeup);
    wakeup->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    must(wakeup->fd >= 0);
    return wakeup;
}

void wakeup_free(struct wakeup *wakeup)
{
    close(wakeup->fd);
    free(wakeup);
}

uint64_t wakeup_count(struct wakeup *wakeup)
{
    return atomic_load(&wakeup->count);
}

void wakeup_notify(struct wakeup *wakeup)
{
    atomic_fetch_add(&wakeup->count, 1);
    must(eventfd_write(wakeup->fd, 1) == 0);
}

int wakeup_fd(const struct wakeup *wakeup)
{
    return wakeup->fd;
}

void wakeup_clear(struct wakeup *wakeup)
{
    eventfd_t ignored;
    eventfd_read(wakeup->fd, &ignored);
}

void wakeup_close(struct wakeup *wakeup)
{
    atomic_store(&wakeup->closed, true);
    wakeup_notify(wakeup);
}

bool wakeup_is_closed(struct wakeup *wakeup)
{
    return atomic_load(&wakeup->closed);
}
