/* An operator's requests during a step (session.h, order.h). */
#include "agent/api/session_part.h"
#include "agent/spool/order.h"
#include "base/clock.h"
#include "base/log.h"
#include "lib/cleanup.h"

#include <fcntl.h>
#include <sys/inotify.h>

enum { LOOK_MS = 1000, EVENTS_BYTES = 1024 };

/* Without the directory (nobody has made a request yet) or the watch, the check once a second finds
 * it. */
static void open_room(struct session *session)
{
    struct session_orders *orders = &session->orders;
    TEXT(path) = must_printf("%s/" ORDER_ROOM, session->config->node.state_dir);
    orders->room = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (orders->room < 0)
        return;
    orders->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (orders->watch >= 0 &&
        inotify_add_watch(orders->watch, path, IN_MOVED_TO | IN_DELETE | IN_ONLYDIR) < 0) {
        close(orders->watch);
        orders->watch = -1;
    }
}

void session_orders_open(struct session *session)
{
    session->orders = (struct session_orders){.room = -1, .watch = -1};
    open_room(session);
    session->orders.is_paused = order_is_given(session->orders.room, ORDER_PAUSE);
    session->orders.since_ms = session->orders.looked_ms = mono_ms();
    if (session->orders.is_paused)
        log_info("step.paused");
}

void session_orders_close(struct session *session)
{
    cleanup_fd(&session->orders.room);
    cleanup_fd(&session->orders.watch);
    session->orders.room = session->orders.watch = -1;
}

static void drain_events(int watch)
{
    char buffer[EVENTS_BYTES];
    while (watch >= 0 && read(watch, buffer, sizeof buffer) > 0)
        ;
}

void session_orders_look(struct session *session, bool is_event)
{
    struct session_orders *orders = &session->orders;
    int64_t now_ms = mono_ms();
    if (!is_event && now_ms < orders->looked_ms + LOOK_MS)
        return;
    orders->looked_ms = now_ms;
    drain_events(orders->watch);
    if (orders->room < 0)
        open_room(session);
    bool is_paused = order_is_given(orders->room, ORDER_PAUSE);
    if (is_paused == orders->is_paused)
        return;
    if (orders->is_paused)
        orders->total_ms += now_ms - orders->since_ms;
    orders->since_ms = now_ms;
    orders->is_paused = is_paused;
    log_info(is_paused ? "step.paused" : "step.unpaused");
}

int64_t session_work_ms(const struct session *session)
{
    const struct session_orders *orders = &session->orders;
    int64_t now_ms = orders->is_paused ? orders->since_ms : mono_ms();
    return now_ms - orders->total_ms;
}

void session_pause_child(const struct session *session, const struct child *child, bool *is_stopped)
{
    if (session->orders.is_paused == *is_stopped)
        return;
    *is_stopped = session->orders.is_paused;
    if (*is_stopped)
        child_pause(child);
    else
        child_unpause(child);
}

void session_await_unpause(struct session *session)
{
    while (session->orders.is_paused && session->lost == TAILSLATE_PROBLEM_NONE)
        session_wait(session, NULL, 0, LOOK_MS);
}
