#include "agent/daemon/steps.h"

#include "agent/api/connect.h"
#include "agent/daemon/retire.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "lib/cleanup.h"
#include "lib/uuid.h"

#include "tailslate/backoff.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

enum {
    CONFIG_AGAIN_MS = 2000,
    END_BYTES = 64,
};
static const struct tailslate_backoff pauses = {.base_ms = 1000, .cap_ms = 60 * 1000};

static bool wants_step(const struct live *live)
{
    return job_need(live->state) == JOB_NEEDS_STEP && live->step.pidfd < 0 && !live->is_on_hold;
}

/* Call after a change of what wants_step looks at, or with another time. */
static void start_at(struct live *live, int64_t due_ms)
{
    struct due *due = &live->step.due;
    if (wants_step(live)) {
        due_put(&live->node->starts, due, due_ms, 0);
        return;
    }
    due_take(&live->node->starts, due);
    due->at_ms = due_ms; /* for when it wants one again */
}

/* Call after a change of pidfd or is_unseen. There are few of them at a time. */
static void list_running(struct live *live)
{
    struct live **link = &live->node->running;
    while (*link && *link != live)
        link = &(*link)->step.next_running;
    bool is_listed = *link != NULL, is_running = live->step.pidfd >= 0 || live->step.is_unseen;
    if (is_listed && !is_running)
        *link = live->step.next_running;
    if (is_running && !is_listed)
        *link = live;
    if (is_listed != is_running)
        live->step.next_running = NULL;
}

static void set_pidfd(struct live *live, int pidfd)
{
    cleanup_fd(&live->step.pidfd);
    live->step.pidfd = pidfd;
    list_running(live);
    start_at(live, live->step.due.at_ms);
}

static int watch_pidfd(struct live *live, int pidfd, struct error *err)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = pidfd};
    if (epoll_ctl(live->node->epoll, EPOLL_CTL_ADD, pidfd, &event) != 0)
        return error_errno(err, "cannot monitor the step");
    live->step.started_in = live->state;
    set_pidfd(live, pidfd);
    node_status_changed(live->node);
    return 0;
}

/* The agent blocks signals (it reads them from a descriptor), so a step resets them. Only stderr is
 * inherited, or a step would keep the agent's sockets open. */
static int spawn_with(char *const argv[], posix_spawnattr_t *attributes,
                      posix_spawn_file_actions_t *actions, pid_t *pid)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int flags = POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    int code = posix_spawnattr_setflags(attributes, (short)flags);
    if (code == 0)
        code = posix_spawnattr_setsigmask(attributes, &none);
    if (code == 0)
        code = posix_spawnattr_setsigdefault(attributes, &all);
    if (code == 0)
        code = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
    if (code == 0)
        code = posix_spawn_file_actions_addclosefrom_np(actions, 3);
    return code ? code : posix_spawn(pid, "/proc/self/exe", actions, attributes, argv, environ);
}

static int spawn_step(const struct node *node, const char *record_path, pid_t *pid,
                      struct error *err)
{
    TEXT(path) = must_strdup(record_path);
    TEXT(config) = must_strdup(node->config_path ? node->config_path : "");
    char program[] = "tailslate-agent", option[] = "-c", command[] = "step";
    char *with_config[] = {program, option, config, command, path, NULL};
    char *without[] = {program, command, path, NULL};
    char **argv = node->config_path ? with_config : without;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_init(&actions);
    int code = spawn_with(argv, &attributes, &actions, pid);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (code == 0)
        return 0;
    errno = code;
    return error_errno(err, "cannot start a step");
}

static int start(struct live *live, struct error *err)
{
    const struct node *node = live->node;
    TEXT(path) = must_printf("%s/spool/%s", node->config->node.state_dir, live->id);
    if (spawn_step(node, path, &live->step.pid, err) != 0)
        return -1;
    crash_point(CRASH_AGENT_STEP_STARTED);
    /* Our child, not reaped yet: its PID cannot have been reused. */
    FD(pidfd) = pidfd_open(live->step.pid, 0);
    if (pidfd < 0)
        return error_errno(err, "cannot open the step's process");
    if (watch_pidfd(live, pidfd, err) != 0)
        return -1;
    steal_fd(&pidfd);
    live->step.is_child = true;
    log_info("step.started", LOG_INT("job", live->job_id), LOG_TEXT("record", live->id),
             LOG_TEXT("token", live->token), LOG_INT("pid", live->step.pid));
    return 0;
}

static void note_seen(struct live *live)
{
    if (live->step.is_unseen)
        node_status_changed(live->node);
    live->step.is_unseen = false;
    live->step.unseen = 0;
    list_running(live);
}

int64_t steps_unseen_pause_ms(unsigned checks)
{
    struct tailslate_backoff policy = {.base_ms = STEPS_UNSEEN_MS, .cap_ms = STEPS_UNSEEN_CAP_MS};
    must(checks > 0);
    return tailslate_backoff_delay_ms(policy, checks - 1, -1, UINT64_MAX);
}

/* It holds its record, so it is alive: no second step is started, however long this lasts. */
static void note_unseen(struct live *live, int64_t now_ms, const struct error *why)
{
    struct live_step *step = &live->step;
    start_at(live, now_ms + steps_unseen_pause_ms(++step->unseen));
    if (step->is_unseen || step->unseen < STEPS_UNSEEN_MAX)
        return;
    step->is_unseen = true;
    list_running(live);
    node_status_changed(live->node);
    log_warning("step.not_adoptable", LOG_INT("job", live->job_id), LOG_TEXT("record", live->id),
                LOG_TEXT("token", live->token), LOG_TEXT("reason", why->message),
                LOG_TEXT("hint",
                         "it keeps running and keeps its slot; run the agent in the step's PID "
                         "namespace and mount /proc without hidepid, or end the process"));
}

static int adopt(struct live *live, int dir, struct error *err)
{
    struct process_identity identity;
    if (record_read_identity(dir, "step", &identity, err) != 0)
        return -1;
    FD(pidfd) = process_identity_open(&identity);
    if (pidfd < 0)
        return error_set(err, ERROR_TEMPORARY, ESRCH,
                         "a process holds the record, but its PID %d is not visible "
                         "to this agent",
                         (int)identity.pid);
    if (watch_pidfd(live, pidfd, err) != 0)
        return -1;
    steal_fd(&pidfd);
    live->step.pid = identity.pid;
    live->step.is_child = false;
    log_info("step.adopted", LOG_INT("job", live->job_id), LOG_TEXT("record", live->id),
             LOG_TEXT("token", live->token), LOG_INT("pid", identity.pid));
    return 0;
}

static int try_config(const struct node *node, struct error *err)
{
    struct config *config = must_calloc(1, sizeof *config);
    struct http_client *client = NULL;
    if (agent_config_load(config_find(node->config_path, AGENT_CONFIG_PATH), config, err) == 0)
        client = connect_client(config, err);
    http_client_free(client);
    free(config);
    return client ? 0 : -1;
}

/* A step reads the configuration again. While the file is being edited or the key is missing, steps
 * would end at once and cost their jobs attempts: so none are started, and no job is claimed. */
static bool is_configured(struct node *node)
{
    struct error err;
    bool is_broken = try_config(node, &err) != 0;
    bool is_news = admission_set(node, ADMISSION_CONFIG_BROKEN, is_broken);
    if (is_news && is_broken)
        log_error(
            "step.not_configured", LOG_TEXT("reason", err.message),
            LOG_TEXT("hint", "no step is started and nothing is claimed until this is fixed"));
    if (is_news && !is_broken)
        log_info("step.configured");
    return !is_broken;
}

static void start_or_adopt(struct live *live, int64_t now_ms)
{
    struct error err;
    FD(dir) = roster_open(live, &err);
    bool is_locked = dir >= 0 && record_is_locked(dir);
    if (is_locked && adopt(live, dir, &err) != 0) {
        note_unseen(live, now_ms, &err);
        return;
    }
    note_seen(live);
    if (!is_locked && !is_configured(live->node)) {
        start_at(live, now_ms + CONFIG_AGAIN_MS);
        return;
    }
    if (is_locked || (dir >= 0 && start(live, &err) == 0))
        return;
    start_at(live, now_ms + tailslate_backoff_delay_ms(pauses, live->step.without_progress++, -1,
                                                       random_u64()));
    log_warning("step.not_started", LOG_INT("job", live->job_id), LOG_TEXT("record", live->id),
                LOG_TEXT("reason", err.message));
}

int64_t steps_tick(struct node *node, int64_t now_ms)
{
    if (admission_has(node, ADMISSION_STOPPING))
        return NODE_NEVER;
    struct live *live = due_first(&node->starts);
    for (size_t left = node->starts.count; left > 0 && live->step.due.at_ms <= now_ms; left--) {
        start_or_adopt(live, now_ms);
        live = due_first(&node->starts);
        if (!live)
            return NODE_NEVER;
    }
    return live ? live->step.due.at_ms : NODE_NEVER;
}

static void describe_end(const struct live *live, char text[END_BYTES])
{
    siginfo_t info = {0};
    snprintf(text, END_BYTES, "unknown (adopted step)");
    if (!live->step.is_child ||
        waitid(P_PIDFD, (id_t)live->step.pidfd, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0)
        return;
    if (info.si_code == CLD_EXITED)
        snprintf(text, END_BYTES, "exit status %d", info.si_status);
    else
        snprintf(text, END_BYTES, "signal %d (%s)", info.si_status, strsignal(info.si_status));
}

static int seal_failure(struct live *live, const char *end, struct error *err)
{
    struct message_failure failure = {.retry = true};
    struct process_identity transcoder;
    struct error ignored;
    FD(dir) = roster_open(live, err);
    if (dir < 0)
        return -1;
    if (record_read_identity(dir, "transcoder", &transcoder, &ignored) == 0)
        process_identity_kill_group(&transcoder);
    snprintf(failure.reason, sizeof failure.reason, "the step ended %u times without a result: %s",
             live->step.without_progress, end);
    record_note_fault(dir, failure.reason);
    return record_seal_failure(dir, &failure, err);
}

static void after_end_without_progress(struct live *live, const char *end)
{
    struct error err;
    live->step.without_progress++;
    int64_t delay_ms = tailslate_backoff_delay_ms(pauses, live->step.without_progress - 1, -1,
                                                  random_u64());
    start_at(live, mono_ms() + delay_ms);
    log_warning("step.no_result", LOG_INT("job", live->job_id), LOG_TEXT("record", live->id),
                LOG_TEXT("token", live->token), LOG_TEXT("end", end),
                LOG_INT("attempt", live->step.without_progress), LOG_INT("delay_ms", delay_ms));
    if (live->state != JOB_CLAIMED || live->step.without_progress < STEPS_WITHOUT_PROGRESS_MAX)
        return;
    int sealed = seal_failure(live, end, &err);
    struct error why;
    if (roster_refresh(live, sealed == 0 ? &err : &why) != 0 || live->state == JOB_CLAIMED)
        log_warning("step.failure_not_sealed", LOG_INT("job", live->job_id),
                    LOG_TEXT("record", live->id), LOG_TEXT("reason", err.message));
}

static void after_end(struct live *live, const char *end)
{
    struct error err;
    bool is_told_to_end = live->step.is_told_to_end; /* ended by us: the next one starts at once */
    bool is_readable = roster_refresh(live, &err) == 0;
    live->step.is_told_to_end = false;
    if (!is_readable && err.class == ERROR_PERMANENT)
        retire_into_quarantine(live, err.message);
    else if (live->state != live->step.started_in)
        live->step.without_progress = 0;
    else if (job_need(live->state) == JOB_NEEDS_STEP && !is_told_to_end)
        after_end_without_progress(live, end);
}

bool steps_handle(struct node *node, int pidfd)
{
    struct live *live = node->running;
    while (live && live->step.pidfd != pidfd)
        live = live->step.next_running;
    if (!live)
        return false;
    char end[END_BYTES];
    describe_end(live, end);
    set_pidfd(live, -1);
    retire_again(live); /* a removal had to wait for the step */
    node_status_changed(node);
    node_record_changed(live);
    log_info("step.ended", LOG_INT("job", live->job_id), LOG_TEXT("record", live->id),
             LOG_TEXT("token", live->token), LOG_INT("pid", live->step.pid), LOG_TEXT("end", end));
    after_end(live, end);
    return true;
}

bool steps_handle_pid(struct node *node, pid_t pid)
{
    for (const struct live *live = node->running; live; live = live->step.next_running)
        if (live->step.pidfd >= 0 && live->step.is_child && live->step.pid == pid)
            return steps_handle(node, live->step.pidfd);
    return false;
}

unsigned steps_running(const struct node *node)
{
    unsigned count = 0;
    for (const struct live *live = node->running; live; live = live->step.next_running)
        count += live->step.pidfd >= 0;
    return count;
}

void steps_tell_to_end(struct live *live)
{
    live->step.is_told_to_end = true;
    pidfd_send_signal(live->step.pidfd, SIGTERM, NULL, 0);
}

void steps_retry(struct live *live)
{
    live->step.without_progress = 0;
    start_at(live, 0);
}

void steps_postpone(struct live *live, int64_t due_ms)
{
    start_at(live, due_ms);
}

static void on_state(struct live *live, int dir, enum job_state former)
{
    (void)dir;
    (void)former;
    start_at(live, 0);
}

static void on_claim(struct live *live)
{
    start_at(live, 0);
}

static void on_hold(struct live *live, const char *why)
{
    (void)why;
    start_at(live, live->step.due.at_ms);
}

static void on_forget(struct live *live)
{
    live->step.is_unseen = false;
    set_pidfd(live, -1);
    due_take(&live->node->starts, &live->step.due);
}

const struct roster_owner steps_owner = {
    .on_state = on_state, .on_claim = on_claim, .on_hold = on_hold, .on_forget = on_forget};
