/* What the schedule does to the fleet, and how each fault is put right again. */
#include "base/clock.h"
#include "fault_proxy.h"
#include "fleet.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <unistd.h>

enum { VICTIMS_MAX = 16, FORGE_MS = 30 * 1000, DYING_MS = 5000, OUTAGE_MS = 1000 };

#define YEAR_US (365LL * 24 * 3600 * 1000 * 1000)

static struct fleet_due *later(struct fleet *fleet, const struct lab_event *event, int pidfd)
{
    size_t i = 0;
    while (i < FLEET_DUE_MAX && fleet->due[i].at_ms != 0)
        i++;
    must(i < FLEET_DUE_MAX);
    fleet->due[i] = (struct fleet_due){.at_ms = mono_ms() + event->amount,
                                       .fault = event->fault,
                                       .target = event->target,
                                       .pidfd = pidfd};
    return &fleet->due[i];
}

static bool is_due(const struct fleet *fleet, enum lab_fault fault)
{
    for (size_t i = 0; i < FLEET_DUE_MAX; i++)
        if (fleet->due[i].at_ms && fleet->due[i].fault == fault)
            return true;
    return false;
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

/* It goes on until it comes to its crash point, if it does. */
static bool let_crash(struct fleet *fleet, struct process *process, const char *program,
                      const struct lab_event *event)
{
    TEXT(flag) = fleet_crash_flag(fleet, program, event->target);
    if (!process || is_due(fleet, LAB_RESTART_VERIFIER))
        return false;
    file_write(flag, "", 0600);
    later(fleet, event, -1)->pid = process->pid;
    return true;
}

static bool restart_verifier(struct fleet *fleet, const struct lab_event *event)
{
    struct process *process = fleet->verifiers[event->target];
    /* Before it is ready, SIGTERM ends it as it ends any program. */
    if (!process || is_due(fleet, LAB_CRASH_VERIFIER) ||
        !log_find(process->log, "event=verifier.ready", (char[LINE_BYTES]){""}))
        return false;
    process_signal(process, SIGTERM);
    later(fleet, event, -1)->pid = process->pid;
    return true;
}

static bool kill_all_verifiers(struct fleet *fleet, const struct lab_event *event)
{
    bool any = false;
    for (int i = 0; i < fleet->plan.verifiers; i++) {
        struct lab_event one = *event;
        one.fault = LAB_KILL_VERIFIER;
        one.target = i;
        any |= kill_process(fleet, &fleet->verifiers[i], &one);
    }
    return any;
}

/* Until put_right, or so many times. */
static bool harm_disk(struct fleet *fleet, struct harm *harm, int number,
                      const struct lab_event *event)
{
    atomic_store(&harm->disk_errno, number);
    atomic_store(&harm->disk_left, number == ENOSPC ? -1 : (int32_t)event->amount);
    if (number == ENOSPC)
        later(fleet, event, -1);
    return true;
}

/* The nodes see a second of it; by the verifiers' clocks it lasts as long as the event says. */
static bool start_long_outage(struct fleet *fleet, const struct lab_event *event)
{
    struct lab_event outage = *event;
    outage.amount = OUTAGE_MS;
    if (!kill_all_verifiers(fleet, &outage))
        return false;
    harm_clocks(fleet, atomic_load(&fleet->verifier_harm[0]->shift_us) / 1000 + event->amount);
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
    if (event->fault != LAB_LOSE_NODE)
        return kill_process(fleet, &fleet->agents[event->target], event);
    process_free(fleet->agents[event->target]);
    fleet->agents[event->target] = NULL;
    fleet->lost = event->target;
    return true;
}

/* Somebody has to be left. */
static bool lose_node(struct fleet *fleet, const struct lab_event *event)
{
    return fleet->lost < 0 && fleet->plan.nodes > 1 && kill_node(fleet, event);
}

/* One of the steps of a node. 0: none runs. */
static pid_t find_step_of(const struct fleet *fleet, int node, int number)
{
    pid_t pids[VICTIMS_MAX];
    TEXT(config) = rig_path(fleet->rig, "agent-%d.cfg", node);
    int count = inspect_processes((const char *[]){config, "step", NULL}, pids, VICTIMS_MAX);
    if (count > VICTIMS_MAX)
        count = VICTIMS_MAX;
    return count > 0 ? pids[number % count] : 0;
}

/* Of that node, or of the next one that has any. */
static pid_t find_step(const struct fleet *fleet, const struct lab_event *event)
{
    pid_t pid = 0;
    for (int i = 0; i < fleet->plan.nodes && pid == 0; i++)
        pid = find_step_of(fleet, (event->target + i) % fleet->plan.nodes, event->number);
    return pid;
}

/* The agent and its steps; their transcoders go on. */
static void signal_node(const struct fleet *fleet, int node, int signal)
{
    pid_t pids[VICTIMS_MAX];
    TEXT(config) = rig_path(fleet->rig, "agent-%d.cfg", node);
    int count = inspect_processes((const char *[]){config, NULL}, pids, VICTIMS_MAX);
    for (int i = 0; i < count && i < VICTIMS_MAX; i++)
        kill(pids[i], signal);
}

static bool stop_node(struct fleet *fleet, const struct lab_event *event)
{
    if (!fleet->agents[event->target])
        return false;
    signal_node(fleet, event->target, SIGSTOP);
    later(fleet, event, -1);
    return true;
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

static bool lock_rows(struct fleet *fleet, const struct lab_event *event)
{
    if (fleet->rows || (fleet->database_url && fleet->database != FLEET_UP))
        return false;
    TEXT(path) = rig_path(fleet->rig, "verifier.db");
    fleet->rows = hold_rows(fleet->database_url, path);
    if (fleet->rows)
        later(fleet, event, -1);
    return fleet->rows != NULL;
}

static bool harm_store(struct fleet *fleet, const struct lab_event *event)
{
    if (event->fault == LAB_SET_CLOCK) {
        harm_clocks(fleet, event->amount);
        return true;
    }
    if (event->fault == LAB_LONG_OUTAGE)
        return start_long_outage(fleet, event);
    return event->fault == LAB_OUTAGE ? kill_all_verifiers(fleet, event) : lock_rows(fleet, event);
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

/* Sweeps and clean-ups that will have been in a year. */
static void forge_sweeps(struct fleet *fleet)
{
    char then[WALL_TEXT_BYTES];
    wall_format(wall_us() + YEAR_US, then);
    redis_expect(fleet->redis, "OK", "MSET", "vlog:stale_job_checker:last_run", then,
                 "vlog:orphan_cleanup:last_run", then, NULL);
}

static bool harm_redis(struct fleet *fleet, const struct lab_event *event)
{
    if (fleet->redis_health != FLEET_UP)
        return false;
    if (event->fault == LAB_FLUSH_REDIS)
        redis_expect(fleet->redis, "OK", "FLUSHALL", NULL);
    else if (event->fault == LAB_FORGE_REDIS && event->amount == 2)
        forge_sweeps(fleet);
    else if (event->fault == LAB_FORGE_REDIS)
        forge_tokens(fleet, event->amount == 1);
    if (event->fault == LAB_FLUSH_REDIS || event->fault == LAB_FORGE_REDIS)
        return true;
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
    case LAB_STOP_NODE:
        return stop_node(fleet, event);
    case LAB_CRASH_AGENT:
        return let_crash(fleet, fleet->agents[event->target], "agent", event);
    case LAB_CRASH_VERIFIER:
        return let_crash(fleet, fleet->verifiers[event->target], "verifier", event);
    case LAB_RESTART_VERIFIER:
        return restart_verifier(fleet, event);
    case LAB_SET_NODE_CLOCK:
        atomic_store(&fleet->agent_harm[event->target]->shift_us, event->amount * 1000);
        return true;
    case LAB_FULL_DISK:
        return harm_disk(fleet, fleet->agent_harm[event->target], ENOSPC, event);
    case LAB_BAD_DISK:
        return harm_disk(fleet, fleet->agent_harm[event->target], EIO, event);
    case LAB_FULL_SERVER_DISK:
        return harm_disk(fleet, fleet->verifier_harm[event->target], ENOSPC, event);
    case LAB_BAD_SERVER_DISK:
        return harm_disk(fleet, fleet->verifier_harm[event->target], EIO, event);
    case LAB_KILL_NODE:
        return kill_node(fleet, event);
    case LAB_LOSE_NODE:
        return lose_node(fleet, event);
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
    case LAB_COMPLETION:
        proxy_arm(fleet->proxy, event);
        return true;
    case LAB_NODE:
    case LAB_VERIFIER:
        if (event->fault != LAB_ROTATE_KEY)
            return harm_process(fleet, event);
        break;
    case LAB_STORE:
        return harm_store(fleet, event);
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

/* Whoever took the flag is dying, and need not be the program itself: a step dies alone. */
static void end_crash(struct fleet *fleet, const struct fleet_due *due)
{
    bool is_agent = due->fault == LAB_CRASH_AGENT;
    struct process **process = is_agent ? &fleet->agents[due->target]
                                        : &fleet->verifiers[due->target];
    TEXT(flag) = fleet_crash_flag(fleet, is_agent ? "agent" : "verifier", due->target);
    bool is_taken = unlink(flag) != 0;
    if (!*process || (*process)->pid != due->pid ||
        !process_ends_within(*process, is_taken ? DYING_MS : 0))
        return;
    process_free(*process);
    if (is_agent)
        fleet_start_agent(fleet, due->target);
    else
        fleet_start_verifier(fleet, due->target);
}

static void end_restart(struct fleet *fleet, const struct fleet_due *due)
{
    struct process *process = fleet->verifiers[due->target];
    if (!process || process->pid != due->pid)
        return;
    process_signal(process, SIGCONT);
    fleet_note_end(fleet, process, "verifier");
    process_free(process);
    fleet_start_verifier(fleet, due->target);
}

static void put_right(struct fleet *fleet, const struct fleet_due *due)
{
    int target = due->target;
    switch ((int)due->fault) {
    case LAB_KILL_AGENT:
    case LAB_KILL_NODE:
        if (target != fleet->lost)
            fleet_start_agent(fleet, target);
        break;
    case LAB_CRASH_AGENT:
    case LAB_CRASH_VERIFIER:
        end_crash(fleet, due);
        break;
    case LAB_RESTART_VERIFIER:
        end_restart(fleet, due);
        break;
    case LAB_FULL_DISK:
        atomic_store(&fleet->agent_harm[target]->disk_left, 0);
        break;
    case LAB_FULL_SERVER_DISK:
        atomic_store(&fleet->verifier_harm[target]->disk_left, 0);
        break;
    case LAB_LOCK_ROWS:
        hold_end(fleet->rows);
        fleet->rows = NULL;
        break;
    case LAB_KILL_VERIFIER:
        fleet_start_verifier(fleet, target);
        break;
    case LAB_STOP_AGENT:
        if (fleet->agents[target])
            process_signal(fleet->agents[target], SIGCONT);
        break;
    case LAB_STOP_NODE:
        signal_node(fleet, target, SIGCONT);
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

/* ---- who ends by itself ---------------------------------------------------------------------- */

/* Whether it has; said in the history, and its place is free. Whom a crash point may have killed is
 * looked at when that is due. */
static bool has_ended(struct fleet *fleet, struct process **process, const char *program)
{
    if (!*process || is_due(fleet, LAB_CRASH_AGENT) || is_due(fleet, LAB_CRASH_VERIFIER) ||
        is_due(fleet, LAB_RESTART_VERIFIER) || !process_ends_within(*process, 0))
        return false;
    struct json *line = history_line("died");
    json_set_text(line, "program", program);
    json_set_int(line, "status", process_wait(*process, 0));
    history_write(fleet->history, line);
    process_free(*process);
    *process = NULL;
    return true;
}

void fleet_revive(struct fleet *fleet)
{
    for (int i = 0; i < fleet->plan.nodes; i++)
        if (has_ended(fleet, &fleet->agents[i], "agent"))
            fleet_start_agent(fleet, i);
    for (int i = 0; i < fleet->plan.verifiers; i++)
        if (has_ended(fleet, &fleet->verifiers[i], "verifier"))
            fleet_start_verifier(fleet, i);
}
