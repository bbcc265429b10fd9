/* An operator's requests during a step (session.h, control_file.h). */
#include "agent/api/session_part.h"
#include "agent/spool/control_file.h"
#include "base/clock.h"
#include "base/log.h"
#include "lib/cleanup.h"

#include <fcntl.h>
#include <sys/inotify.h>

enum { CHECK_MS = 1000, EVENTS_BYTES = 1024 };

/* Without the directory (nobody has made a request yet) or the watch, the check once a second finds
 * it. */
static void open_subdirectory(struct session *session)
{
    struct session_orders *controls = &session->controls;
    TEXT(path) = must_printf("%s/" CONTROL_DIRECTORY, session->config->node.state_dir);
    controls->capacity = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (controls->capacity < 0)
        return;
    controls->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (controls->watch >= 0 &&
        inotify_add_watch(controls->watch, path, IN_MOVED_TO | IN_DELETE | IN_ONLYDIR) < 0) {
        close(controls->watch);
        controls->watch = -1;
    }
}

void session_control_open(struct session *session)
{
    session->controls = (struct session_orders){.capacity = -1, .watch = -1};
    open_subdirectory(session);
    session->controls.is_paused = control_file_exists(session->controls.capacity, CONTROL_PAUSE);
    session->controls.since_ms = session->controls.checked_ms = mono_ms();
    if (session->controls.is_paused)
        log_info("step.paused");
}

void session_control_close(struct session *session)
{
    cleanup_fd(&session->controls.capacity);
    cleanup_fd(&session->controls.watch);
    session->controls.capacity = session->controls.watch = -1;
}

static void drain_events(int watch)
{
    char buffer[EVENTS_BYTES];
    while (watch >= 0 && read(watch, buffer, sizeof buffer) > 0)
        ;
}

void session_control_check(struct session *session, bool is_event)
{
    struct session_orders *controls = &session->controls;
    int64_t now_ms = mono_ms();
    if (!is_event && now_ms < controls->checked_ms + CHECK_MS)
        return;
    controls->checked_ms = now_ms;
    drain_events(controls->watch);
    if (controls->capacity < 0)
        open_subdirectory(session);
    bool is_paused = control_file_exists(controls->capacity, CONTROL_PAUSE);
    if (is_paused == controls->is_paused)
        return;
    if (controls->is_paused)
        controls->total_ms += now_ms - controls->since_ms;
    controls->since_ms = now_ms;
    controls->is_paused = is_paused;
    log_info(is_paused ? "step.paused" : "step.unpaused");
}

int64_t session_work_ms(const struct session *session)
{
    const struct session_orders *controls = &session->controls;
    int64_t now_ms = controls->is_paused ? controls->since_ms : mono_ms();
    return now_ms - controls->total_ms;
}

void session_pause_child(const struct session *session, const struct child *child, bool *is_stopped)
{
    if (session->controls.is_paused == *is_stopped)
        return;
    *is_stopped = session->controls.is_paused;
    if (*is_stopped)
        child_pause(child);
    else
        child_unpause(child);
}

void session_await_unpause(struct session *session)
{
    while (session->controls.is_paused && session->lost == TAILSLATE_PROBLEM_NONE)
        session_wait(session, NULL, 0, CHECK_MS);
}
