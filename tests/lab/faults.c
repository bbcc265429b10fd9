/* What the schedule does to the fleet, and how each fault is put right again. */
#include "base/clock.h"
#include "fault_proxy.h"
#include "fleet.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <unistd.h>

enum { VICTIMS_MAX = 16, FORGE_MS = 30 * 1000 };

static void later(struct fleet *fleet, const struct lab_event *event, int pidfd)
{
    size_t i = 0;
    while (i < FLEET_DUE_MAX && fleet->due[i].at_ms != 0)
        i++;
    must(i < FLEET_DUE_MAX);
    fleet->due[i] = (struct fleet_due){mono_ms() + event->amount, event->fault, event->target,
                                       pidfd};
}

static bool kill_process(struct fleet *fleet, struct process **process,
                         const struct lab_event *event)
{
    if (!*process)
        return false;
    process_free(*process);
    *process = NULL;
    later(fleet, event, -1);
    return true;
}

static bool stop_process(struct fleet *fleet, struct process *process,
                         const struct lab_event *event)
{
    if (!process)
        return false;
    process_signal(process, SIGSTOP);
    later(fleet, event, -1);
    return true;
}

static bool kill_node(struct fleet *fleet, const struct lab_event *event)
{
    TEXT(config) = rig_path(fleet->rig, "agent-%d.cfg", event->target);
    TEXT(state) = rig_path(fleet->rig, "agent-%d/", event->target);
    if (!fleet->agents[event->target])
        return false;
    guard_kill_all(config);
    guard_kill_all(state);
    return kill_process(fleet, &fleet->agents[event->target], event);
}

/* One of the steps of a node. 0: none runs. */
static pid_t find_step(const struct fleet *fleet, const struct lab_event *event)
{
    pid_t pids[VICTIMS_MAX];
    TEXT(config) = rig_path(fleet->rig, "agent-%d.cfg", event->target);
    int count = inspect_processes((const char *[]){config, "step", NULL}, pids, VICTIMS_MAX);
    if (count > VICTIMS_MAX)
        count = VICTIMS_MAX;
    return count > 0 ? pids[event->number % count] : 0;
}

/* The first child of a step; 0: none. */
static pid_t child_of(pid_t step)
{
    int child = 0;
    TEXT(path) = must_printf("/proc/%d/task/%d/children", (int)step, (int)step);
    STREAM(file) = fopen(path, "re");
    return file && fscanf(file, "%d", &child) == 1 ? child : 0;
}

static bool signal_step(struct fleet *fleet, const struct lab_event *event, int signal)
{
    pid_t pid = find_step(fleet, event);
    if (pid > 0 && event->fault == LAB_KILL_TRANSCODER)
        pid = child_of(pid);
    FD(pidfd) = pid > 0 ? pidfd_open(pid, 0) : -1;
    if (pidfd < 0 || pidfd_send_signal(pidfd, signal, NULL, 0) != 0)
        return false;
    if (event->fault == LAB_STOP_STEP)
        later(fleet, event, steal_fd(&pidfd));
    return true;
}

static bool harm_database(struct fleet *fleet, const struct lab_event *event)
{
    if (event->fault == LAB_CUT_COMMIT) {
        fault_proxy_cut(fleet->database_line, "COMMIT",
                        event->amount ? FAULT_ANSWER_LOST : FAULT_NOT_PASSED);
        return true;
    }
    if (fleet->database != FLEET_UP)
        return false;
    fleet->database = event->fault == LAB_HANG_DATABASE ? FLEET_HUNG : FLEET_DOWN;
    if (event->fault == LAB_HANG_DATABASE)
        postgres_hang(fleet->postgres);
    else
        postgres_down(fleet->postgres, event->fault == LAB_CRASH_DATABASE ? SIGQUIT : SIGINT);
    later(fleet, event, -1);
    return true;
}

/* Says of every token that a spool holds what a verifier never said. */
static void forge_tokens(struct fleet *fleet, bool completed)
{
    TEXT(script) = must_printf(
        "grep -ho '\"token\": *\"[0-9a-f-]*\"' '%s'/agent-*/spool/*/claim.json | cut -d'\"' -f4 |"
        " while read -r token; do redis-cli -p %d SET "
        "\"vlog:completion_token:${token%%%%-*}:$token\""
        " '%s' EX 900; done",
        fleet->rig->dir, fleet->redis->port, completed ? "completed" : "processing:somebody");
    RUN(run) = run_program((const char *[]){"sh", "-c", script, NULL}, NULL, FORGE_MS);
}

static bool harm_redis(struct fleet *fleet, const struct lab_event *event)
{
    if (fleet->redis_health != FLEET_UP)
        return false;
    if (event->fault == LAB_FORGE_REDIS) {
        forge_tokens(fleet, event->amount == 1);
        return true;
    }
    fleet->redis_health = event->fault == LAB_HANG_REDIS ? FLEET_HUNG : FLEET_DOWN;
    if (event->fault == LAB_HANG_REDIS)
        redis_hang(fleet->redis);
    else
        redis_kill(fleet->redis);
    later(fleet, event, -1);
    return true;
}

static bool harm_process(struct fleet *fleet, const struct lab_event *event)
{
    switch ((int)event->fault) {
    case LAB_KILL_AGENT:
        return kill_process(fleet, &fleet->agents[event->target], event);
    case LAB_KILL_VERIFIER:
        return kill_process(fleet, &fleet->verifiers[event->target], event);
    case LAB_STOP_AGENT:
        return stop_process(fleet, fleet->agents[event->target], event);
    case LAB_STOP_VERIFIER:
        return stop_process(fleet, fleet->verifiers[event->target], event);
    case LAB_KILL_NODE:
        return kill_node(fleet, event);
    case LAB_STOP_STEP:
        return signal_step(fleet, event, SIGSTOP);
    default: /* kill-step, kill-transcoder */
        return signal_step(fleet, event, SIGKILL);
    }
}

static bool harm(struct fleet *fleet, const struct lab_event *event)
{
    switch (lab_fault_target(event->fault)) {
    case LAB_CALL:
        proxy_arm(fleet->proxy, event);
        return true;
    case LAB_NODE:
    case LAB_VERIFIER:
        if (event->fault != LAB_ROTATE_KEY)
            return harm_process(fleet, event);
        break;
    case LAB_DATABASE:
        return harm_database(fleet, event);
    case LAB_REDIS:
        return harm_redis(fleet, event);
    case LAB_JOB:
        break;
    }
    operator_order(fleet, event);
    return true;
}

void fleet_do(struct fleet *fleet, const struct lab_event *event)
{
    struct json *line = history_line("fault");
    json_set_int(line, "number", event->number);
    json_set_text(line, "fault", lab_fault_name(event->fault));
    json_set_int(line, "target", event->target);
    json_set_int(line, "amount", event->amount);
    json_set_bool(line, "done", harm(fleet, event));
    history_write(fleet->history, line);
}

/* ---- what follows ---------------------------------------------------------------------------- */

static void put_right(struct fleet *fleet, const struct fleet_due *due)
{
    int target = due->target;
    switch ((int)due->fault) {
    case LAB_KILL_AGENT:
    case LAB_KILL_NODE:
        fleet_start_agent(fleet, target);
        break;
    case LAB_KILL_VERIFIER:
        fleet_start_verifier(fleet, target);
        break;
    case LAB_STOP_AGENT:
        if (fleet->agents[target])
            process_signal(fleet->agents[target], SIGCONT);
        break;
    case LAB_STOP_VERIFIER:
        if (fleet->verifiers[target])
            process_signal(fleet->verifiers[target], SIGCONT);
        break;
    case LAB_STOP_STEP:
        pidfd_send_signal(due->pidfd, SIGCONT, NULL, 0);
        close(due->pidfd);
        break;
    case LAB_HANG_DATABASE:
        postgres_wake(fleet->postgres);
        fleet->database = FLEET_UP;
        break;
    case LAB_CRASH_DATABASE:
    case LAB_RESTART_DATABASE:
        postgres_up(fleet->postgres);
        fleet->database = FLEET_UP;
        break;
    case LAB_HANG_REDIS:
        redis_wake(fleet->redis);
        fleet->redis_health = FLEET_UP;
        break;
    case LAB_KILL_REDIS:
        redis_up(fleet->redis);
        fleet->redis_health = FLEET_UP;
        break;
    default:
        must(false);
    }
}

void fleet_put_right(struct fleet *fleet, int64_t now_ms)
{
    for (size_t i = 0; i < FLEET_DUE_MAX; i++) {
        struct fleet_due due = fleet->due[i];
        if (due.at_ms == 0 || due.at_ms > now_ms)
            continue;
        fleet->due[i].at_ms = 0;
        put_right(fleet, &due);
    }
}
