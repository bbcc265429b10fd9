#include "agent/daemon/agent.h"

#include "agent/api/connect.h"
#include "agent/daemon/claim.h"
#include "agent/daemon/control.h"
#include "agent/daemon/courier.h"
#include "agent/daemon/encoder_probe.h"
#include "agent/daemon/health.h"
#include "agent/daemon/heartbeat.h"
#include "agent/daemon/outbox.h"
#include "agent/daemon/retire.h"
#include "agent/daemon/status.h"
#include "agent/daemon/steps.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/notify.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

enum { EVENTS_MAX = 32, INOTIFY_BYTES = 4096 };

struct agent {
    struct config *config;
    struct node node;
    struct claim claim;
    struct control control;
    struct heartbeat heartbeat;
    struct status status;
    struct health *health;
    struct ffmpeg_version version;
    struct encoder_probe probe;
    int signals;
    int64_t watchdog_ms, watchdog_due_ms; /* 0: no watchdog of a service manager */
    int64_t stop_ms;                      /* the courier's deadline while stopping */
    bool is_done;
};

static int block_signals(struct agent *agent, struct error *err)
{
    sigset_t ours;
    sigemptyset(&ours);
    sigaddset(&ours, SIGTERM);
    sigaddset(&ours, SIGINT);
    sigaddset(&ours, SIGUSR1);
    sigaddset(&ours, SIGHUP);
    sigaddset(&ours, SIGCHLD);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    if (sigprocmask(SIG_BLOCK, &ours, NULL) != 0 || sigaction(SIGPIPE, &ignore, NULL) != 0)
        return error_errno(err, "cannot block signals");
    agent->signals = signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
    return agent->signals >= 0 ? 0 : error_errno(err, "cannot read signals");
}

static bool uses_ffmpeg(const struct config *config)
{
    return strcmp(config->transcode.recipe, "ladder") == 0;
}

static int find_tools(const struct config *config, struct error *err)
{
    if (uses_ffmpeg(config) && tool_find(config->transcode.ffmpeg, err) != 0)
        return error_wrap(err, "transcode.ffmpeg");
    if (tool_find(config->transcode.ffprobe, err) != 0)
        return error_wrap(err, "transcode.ffprobe");
    return 0;
}

static int watch(struct agent *agent, int fd, struct error *err)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(agent->node.epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        return error_errno(err, "epoll");
    return 0;
}

static int open_loop(struct agent *agent, struct error *err)
{
    struct node *node = &agent->node;
    node->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (node->epoll < 0)
        return error_errno(err, "epoll");
    node->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (node->inotify < 0)
        log_warning("inotify.unavailable", LOG_INT("errno", errno));
    else if (watch(agent, node->inotify, err) != 0)
        return -1;
    control_watch(&agent->control);
    roster_watch(node);
    return watch(agent, agent->signals, err);
}

static int start(struct agent *agent, struct error *err)
{
    struct node *node = &agent->node;
    bool failed;
    if (block_signals(agent, err) != 0 || find_tools(agent->config, err) != 0 ||
        http_global_init(err) != 0)
        return -1;
    if (server_link_open(node, err) != 0 ||
        spool_open(agent->config->node.state_dir, SPOOL_OWN, &node->spool, err) != 0)
        return -1;
    roster_read_failures(node);
    if (open_loop(agent, err) != 0 || roster_read(node, err) != 0)
        return -1;
    retire_register_metrics();
    courier_register_metrics();
    claim_register_metrics();
    agent->health = health_start(&agent->claim, &failed, err);
    if (failed)
        return -1;
    return agent->health ? watch(agent, health_fd(agent->health), err) : 0;
}

static int load_fresh(const struct agent *agent, struct config *fresh, struct error *err)
{
    const struct config *config = agent->config;
    const char *path = config_find(agent->node.config_path, AGENT_CONFIG_PATH);
    if (agent_config_load(path, fresh, err) != 0 || find_tools(fresh, err) != 0)
        return -1;
    if (strcmp(fresh->node.state_dir, config->node.state_dir) != 0 ||
        strcmp(fresh->health.address, config->health.address) != 0 ||
        fresh->health.port != config->health.port)
        return error_set(err, ERROR_PERMANENT, 0,
                         "changes to node.state_dir and health.* need a restart");
    return 0;
}

/* The key may have been rotated in its file, so every reload creates a new client. Requests of the
 * old one are repeated. */
static void change_client(struct agent *agent, struct http_client *client)
{
    claim_cancel(&agent->claim);
    agent->heartbeat.call = NULL; /* http_client_free cancels it, and the deliveries */
    agent->heartbeat.due_ms = 0;
    outbox_client_replaced(&agent->node);
    server_link_replace(&agent->node, client);
}

/* All or nothing: after any error the old configuration stays in force. */
static int reload(struct agent *agent, struct error *err)
{
    struct config *fresh = must_calloc(1, sizeof *fresh);
    struct http_client *client = NULL;
    if (load_fresh(agent, fresh, err) == 0)
        client = connect_client(fresh, err);
    if (client) {
        change_client(agent, client);
        *agent->config = *fresh;
        must(log_configure(agent->config->log.level, agent->config->log.format));
    }
    free(fresh);
    return client ? 0 : -1;
}

static void on_hangup(struct agent *agent)
{
    struct error err;
    notify_reloading();
    if (reload(agent, &err) == 0) {
        log_info("agent.reloaded");
        encoder_probe_renew(&agent->probe);
    } else {
        log_error("agent.not_reloaded", LOG_TEXT("reason", err.message));
    }
    notify_ready();
}

static void stop(struct agent *agent, const char *why)
{
    notify_stopping();
    log_info("agent.stopping", LOG_TEXT("signal", why));
    /* The second time: stop at once. */
    agent->is_done = !admission_set(&agent->node, ADMISSION_STOPPING, true);
    agent->stop_ms = mono_ms() + AGENT_STOP_MS;
    claim_cancel(&agent->claim);
}

/* Each module reaps its own children. The rest are children whose owner has gone, and orphans: PID
 * 1 inherits the children of dead processes. */
static void reap(struct agent *agent)
{
    siginfo_t info = {0};
    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid > 0) {
        pid_t pid = info.si_pid;
        if (steps_handle_pid(&agent->node, pid) ||
            ffmpeg_version_handle_pid(&agent->version, pid) ||
            encoder_probe_handle_pid(&agent->probe, pid))
            continue;
        log_debug("child.reaped", LOG_INT("pid", pid));
        must(waitpid(pid, NULL, WNOHANG) == pid);
    }
}

static void handle_signals(struct agent *agent)
{
    struct signalfd_siginfo info;
    while (read(agent->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD) {
            reap(agent);
        } else if (info.ssi_signo == SIGHUP) {
            on_hangup(agent);
        } else if (info.ssi_signo == SIGUSR1) {
            log_info("agent.draining");
            admission_set(&agent->node, ADMISSION_DRAINING, true);
        } else {
            stop(agent, info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
        }
    }
}

/* It does not matter which record has changed: reading them all costs seven lookups each. */
static void drain_inotify(struct agent *agent)
{
    _Alignas(struct inotify_event) char events[INOTIFY_BYTES];
    ssize_t size;
    while ((size = read(agent->node.inotify, events, sizeof events)) > 0) {
        for (ssize_t at = 0; at < size;) {
            const struct inotify_event *event = (const void *)(events + at);
            control_event(&agent->control, event);
            roster_event(&agent->node, event);
            at += (ssize_t)(sizeof *event + event->len);
        }
    }
}

static void check_running(const struct node *node)
{
    for (struct live *live = node->running; live; live = live->step.next_running) {
        struct error err;
        /* An invalid record is handled when its step has ended. */
        if (roster_refresh(live, &err) != 0)
            log_debug("record.unreadable", LOG_TEXT("record", live->id),
                      LOG_TEXT("reason", err.message));
    }
}

static void handle_events(struct agent *agent)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(agent->node.epoll, events, EVENTS_MAX, 0);
    for (int i = 0; i < count; i++) {
        int fd = events[i].data.fd;
        if (fd == agent->signals)
            handle_signals(agent);
        else if (fd == agent->node.inotify)
            drain_inotify(agent);
        else if (ffmpeg_version_handle(&agent->version, fd) ||
                 encoder_probe_handle(&agent->probe, fd))
            continue;
        else if (!agent->health || fd != health_fd(agent->health))
            steps_handle(&agent->node, fd);
    }
    if (agent->health)
        health_run(agent->health);
}

/* It only says that the loop is running. */
static int64_t watchdog_tick(struct agent *agent, int64_t now_ms)
{
    if (agent->watchdog_ms == 0)
        return NODE_NEVER;
    if (agent->watchdog_due_ms <= now_ms) {
        notify_watchdog();
        agent->watchdog_due_ms = now_ms + agent->watchdog_ms;
    }
    return agent->watchdog_due_ms;
}

static int64_t tick(struct agent *agent)
{
    struct node *node = &agent->node;
    int64_t now_ms = mono_ms();
    int64_t due_ms = now_ms + AGENT_CHECK_MS;
    due_ms = soonest_ms(due_ms, roster_tick(node, now_ms));
    due_ms = soonest_ms(due_ms, watchdog_tick(agent, now_ms));
    due_ms = soonest_ms(due_ms, control_tick(&agent->control, now_ms));
    due_ms = soonest_ms(due_ms, heartbeat_tick(&agent->heartbeat, now_ms));
    due_ms = soonest_ms(due_ms,
                        ffmpeg_version_tick(&agent->version, !agent->heartbeat.call, now_ms));
    due_ms = soonest_ms(due_ms, encoder_probe_tick(&agent->probe, now_ms));
    due_ms = soonest_ms(due_ms, admission_tick(node, now_ms));
    due_ms = soonest_ms(due_ms, steps_tick(node, now_ms));
    due_ms = soonest_ms(due_ms, courier_tick(node, now_ms));
    due_ms = soonest_ms(due_ms, retire_tick(node, now_ms));
    due_ms = soonest_ms(due_ms, claim_tick(&agent->claim, now_ms));
    due_ms = soonest_ms(due_ms, status_tick(&agent->status, now_ms));
    return soonest_ms(due_ms, health_due_ms(agent->health, now_ms));
}

static bool may_end(const struct agent *agent)
{
    const struct node *node = &agent->node;
    if (agent->is_done || (admission_has(node, ADMISSION_DRAINING) && !node->roster.first &&
                           !node->roster.is_incomplete && !agent->claim.unrecorded))
        return true;
    if (!admission_has(node, ADMISSION_STOPPING))
        return false;
    int64_t now_ms = mono_ms();
    return now_ms >= agent->stop_ms || !courier_is_busy(node, now_ms);
}

static void loop(struct agent *agent)
{
    for (;;) {
        int64_t due_ms = tick(agent);
        if (may_end(agent))
            return;
        int64_t left_ms = due_ms - mono_ms();
        struct http_wait_fd ready = {.fd = agent->node.epoll, .events = 1};
        http_wait(agent->node.server.client, &ready, 1, left_ms > 0 ? left_ms : 0);
        handle_events(agent);
        check_running(&agent->node);
    }
}

static void end(struct agent *agent)
{
    struct node *node = &agent->node;
    if (node->spool.state_dir >= 0 && node->spool.lock >= 0)
        status_publish(&agent->status);
    health_stop(agent->health);
    ffmpeg_version_cancel(&agent->version);
    encoder_probe_cancel(&agent->probe);
    claim_cancel(&agent->claim);
    while (node->roster.first)
        roster_forget(node->roster.first);
    json_free(node->roster.failures);
    server_link_close(node);
    free(agent->claim.unrecorded);
    spool_close(&node->spool);
    cleanup_fd(&node->inotify);
    cleanup_fd(&node->epoll);
    cleanup_fd(&agent->signals);
}

/* A failure counts before it is presented. */
static const struct roster_owner *const owners[] = {&admission_owner, &steps_owner, &outbox_owner,
                                                    &retire_owner};

static void init(struct agent *agent, struct config *config, const char *config_path)
{
    struct node *node = &agent->node;
    *agent = (struct agent){.config = config, .signals = -1};
    node->config = config;
    node->config_path = config_path;
    node->epoll = node->inotify = -1;
    roster_init(node, owners, sizeof owners / sizeof owners[0]);
    node->spool = (struct spool)SPOOL_INIT;
    node_status_changed(node);
    agent->claim.node = node;
    agent->control.node = node;
    agent->control.watch = -1;
    agent->heartbeat.node = node;
    ffmpeg_version_init(&agent->version, node, agent->heartbeat.ffmpeg_version);
    encoder_probe_init(&agent->probe, node, &agent->heartbeat);
    agent->status.node = node;
    agent->status.heartbeat = &agent->heartbeat;
    agent->status.claim = &agent->claim;
    agent->status.started_us = wall_us();
    agent->watchdog_ms = notify_watchdog_ms();
}

int agent_run(struct config *config, const char *config_path)
{
    struct agent agent;
    struct error err;
    /* One arena: otherwise each of libcurl's resolver threads would create its own. */
    mallopt(M_ARENA_MAX, 1);
    init(&agent, config, config_path);
    if (start(&agent, &err) != 0) {
        log_error("agent.not_started", LOG_TEXT("reason", err.message));
        end(&agent);
        return error_exit_status(&err);
    }
    log_info("agent.ready", LOG_TEXT("version", TAILSLATE_VERSION),
             LOG_TEXT("node", config->node.name), LOG_TEXT("server", config->server.url),
             LOG_INT("slots", config->node.slots), LOG_INT("pid", getpid()));
    notify_ready();
    loop(&agent);
    log_info("agent.ended", LOG_INT("steps_left", steps_running(&agent.node)));
    end(&agent);
    return 0;
}
