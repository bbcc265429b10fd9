/* What an operator orders: drain, pause, and what the spool's commands do beside a running agent.
 */
#include "base/clock.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "rig.h"
#include "transcoder.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/stat.h>

enum { STARTED_MS = 30 * 1000, EXIT_DATA = 65, EXIT_UNAVAILABLE = 69, EXIT_TEMPORARY = 75 };
#define NOT_NOW "503 retry-after=3600 code=store_unavailable"

static struct run command(struct rig *rig, const char *first, const char *second, const char *third)
{
    return rig_agent(rig, (const char *[]){first, second, third, NULL});
}

static void does(struct rig *rig, int status, const char *first, const char *second,
                 const char *third)
{
    RUN(run) = command(rig, first, second, third);
    cr_assert_eq(run.status, status, "%s %s: %d\n%s%s", first, second ? second : "", run.status,
                 run.out, run.err);
}

static pid_t start_to_transcode(struct rig *rig, int64_t *job)
{
    transcoder_takes_time(rig, "1");
    *job = rig_begin(rig, media_clip(MEDIA_NORMAL));
    rig_expect(rig, "event=step.transcoder_started", STARTED_MS, NULL);
    return transcoder_wait(rig);
}

static struct rig *in_mid_transcode(pid_t *transcoder, int64_t *job)
{
    struct rig *rig = rig_new();
    *transcoder = start_to_transcode(rig, job);
    return rig;
}

/* ---- drain ---- */

Test(operate, drain_claims_nothing_more_finishes_and_outlives_a_restart, .timeout = 180)
{
    pid_t transcoder;
    int64_t first;
    struct rig *rig = in_mid_transcode(&transcoder, &first);
    rig_agent_set(rig, "node.slots", "2");
    does(rig, 0, "drain", NULL, NULL);
    rig_kill_agent(rig);
    rig_start_agent(rig);
    int64_t second = rig_add_job(rig, media_clip(MEDIA_TINY), "second");
    rig_wait_completed(rig, first);
    cr_assert_eq(
        inspect_int(rig, "SELECT count(*) FROM transcoding_jobs WHERE claimed_at NOT NULL"), 0,
        "it claimed although it is drained");
    RUN(status) = command(rig, "status", NULL, NULL);
    cr_assert(strstr(status.out, "drained"), "%s", status.out);
    does(rig, 0, "undrain", NULL, NULL);
    rig_wait_completed(rig, second);
    rig_end(rig);
}

Test(operate, the_server_hears_of_a_drain_long_before_the_next_heartbeat_is_due, .timeout = 120)
{
    struct rig *rig = rig_new();
    rig_agent_set(rig, "heartbeat.interval_seconds", "60");
    rig_start_verifier(rig);
    rig_start_agent(rig);
    inspect_wait_int(rig, 1, RIG_START_MS,
                     "SELECT count(*) FROM workers WHERE last_heartbeat NOT NULL");
    static const char drained[] =
        "SELECT count(*) FROM workers WHERE metadata LIKE '%%drained by%%'";
    does(rig, 0, "drain", NULL, NULL);
    inspect_wait_int(rig, 1, RIG_START_MS, drained);
    does(rig, 0, "undrain", NULL, NULL);
    inspect_wait_int(rig, 0, RIG_START_MS, drained);
    rig_end(rig);
}

Test(operate, drain_without_an_agent_is_what_the_next_one_finds, .timeout = 120)
{
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    rig_start_agent(rig);
    rig_stop_agent(rig);
    RUN(drained) = command(rig, "drain", NULL, NULL);
    cr_assert(drained.status == 0 && strstr(drained.out, "no agent is running"), "%s", drained.out);
    int64_t job = rig_add_job(rig, media_clip(MEDIA_TINY), "film");
    rig_start_agent(rig);
    rig_expect(rig, "event=node.drained", RIG_START_MS, NULL);
    inspect_wait_int(rig, 1, RIG_START_MS,
                     "SELECT count(*) FROM workers WHERE last_heartbeat NOT NULL");
    cr_assert_eq(rig_count_lines(rig, "event=job.claimed"), 0);
    does(rig, 0, "undrain", NULL, NULL);
    rig_wait_completed(rig, job);
    rig_end(rig);
}

Test(operate, where_no_agent_has_ever_worked_there_is_nothing_to_order)
{
    struct rig *rig = rig_new();
    rig_agent_set(rig, "node.state_dir", "\"/nowhere/agent\"");
    does(rig, EXIT_UNAVAILABLE, "drain", NULL, NULL);
    does(rig, EXIT_UNAVAILABLE, "spool", "retry", "7.1");
    rig_end(rig);
}

/* ---- pause ---- */

Test(operate, pause_stops_the_transcoder_keeps_the_claim_and_costs_nothing, .timeout = 180)
{
    int64_t job;
    struct rig *rig = rig_new();
    rig_agent_set(rig, "transcode.stall_seconds", "3");
    rig_verifier_set(rig, "claims.duration_minutes", "0.1");
    pid_t transcoder = start_to_transcode(rig, &job);
    does(rig, 0, "pause", NULL, NULL);
    cr_assert_eq(inspect_state(transcoder), 'T');
    int64_t paused_ms = mono_ms();
    char expires[64];
    inspect_text(rig, expires, sizeof expires, "SELECT claim_expires_at FROM transcoding_jobs");
    rig_kill_agent(rig);
    rig_start_agent(rig);
    rig_expect(rig, "event=node.paused", RIG_START_MS, NULL);
    /* Twice the life of a claim, and longer than a transcoder may stand still. */
    for (int i = 0; i < 2; i++) {
        inspect_wait_int(rig, 0, STARTED_MS,
                         "SELECT count(*) FROM transcoding_jobs WHERE claim_expires_at <= '%s'",
                         expires);
        inspect_text(rig, expires, sizeof expires,
                     "SELECT strftime('%%Y-%%m-%%dT%%H:%%M:%%S', claim_expires_at, '+6 seconds')"
                     " FROM transcoding_jobs");
    }
    cr_assert_geq(mono_ms() - paused_ms, 4000);
    cr_assert_eq(inspect_state(transcoder), 'T');
    RUN(status) = command(rig, "status", NULL, NULL);
    cr_assert(strstr(status.out, "paused"), "%s", status.out);
    does(rig, 0, "unpause", NULL, NULL);
    rig_wait_completed(rig, job);
    cr_assert_eq(transcoder_starts(rig), 1, "it was started again");
    cr_assert_eq(inspect_int(rig, "SELECT attempt_number FROM transcoding_jobs"), 1);
    rig_end(rig);
}

Test(operate, a_step_that_is_started_while_paused_waits, .timeout = 180)
{
    pid_t transcoder;
    int64_t job;
    struct rig *rig = in_mid_transcode(&transcoder, &job);
    does(rig, 0, "pause", NULL, NULL);
    rig_kill_node(rig);
    rig_start_agent(rig);
    rig_expect(rig, "event=step.paused", STARTED_MS, NULL);
    int64_t second = rig_add_job(rig, media_clip(MEDIA_TINY), "second");
    cr_assert_eq(transcoder_starts(rig), 1, "it runs although the node is paused");
    does(rig, 0, "unpause", NULL, NULL);
    rig_wait_completed(rig, job);
    rig_wait_completed(rig, second);
    rig_end(rig);
}

/* ---- records ---- */

static struct rig *with_one_that_waits(char id[64], int64_t *job)
{
    struct rig *rig = rig_new();
    peer_script(rig_put_peer_between(rig), "POST *complete",
                NOT_NOW "; 429 retry-after=3600 code=rate_limited; pass");
    *job = rig_begin(rig, media_clip(MEDIA_TINY));
    rig_expect(rig, "event=delivery.refused", RIG_JOB_MS, NULL);
    TEXT(record) = inspect_record(rig, "spool");
    snprintf(id, 64, "%s", strrchr(record, '/') + 1);
    return rig;
}

Test(operate, retry_ends_a_wait_of_an_hour, .timeout = 120)
{
    char id[64];
    int64_t job;
    struct rig *rig = with_one_that_waits(id, &job);
    does(rig, 0, "spool", "retry", id);
    peer_wait(rig->peer, "POST *complete", 2, RIG_JOB_MS);
    rig_expect(rig, "event=delivery.refused attempt=2", RIG_JOB_MS, NULL);
    does(rig, 0, "spool", "retry", "--all");
    rig_wait_completed(rig, job);
    does(rig, EXIT_DATA, "spool", "retry", id);
    does(rig, EXIT_DATA, "spool", "hold", "nonsense");
    rig_end(rig);
}

Test(operate, what_is_on_hold_is_not_presented_until_retry_not_even_by_another_agent,
     .timeout = 120)
{
    char id[64];
    int64_t job;
    struct rig *rig = with_one_that_waits(id, &job);
    does(rig, 0, "spool", "hold", id);
    rig_kill_agent(rig); /* a new one presents at once what waits */
    rig_start_agent(rig);
    rig_expect(rig, "event=job.on_hold", RIG_START_MS, NULL);
    peer_wait_more(rig->peer, "POST *heartbeat", 3, RIG_JOB_MS);
    cr_assert_eq(peer_count(rig->peer, "POST *complete"), 1, "it was presented");
    does(rig, 0, "spool", "retry", id);
    peer_wait(rig->peer, "POST *complete", 2, RIG_JOB_MS);
    does(rig, 0, "spool", "retry", id);
    rig_wait_completed(rig, job);
    rig_end(rig);
}

Test(operate, a_success_in_quarantine_is_presented_again, .timeout = 120)
{
    char id[64];
    int64_t job;
    struct rig *rig = with_one_that_waits(id, &job);
    does(rig, 0, "spool", "quarantine", id);
    cr_assert_eq(inspect_spool_count(rig, "quarantine"), 1);
    peer_script(rig->peer, "POST *complete", "pass");
    does(rig, 0, "spool", "retry", id);
    rig_expect(rig, "event=job.final outcome=completed", RIG_JOB_MS, NULL);
    inspect_job_completed_once(rig, job);
    inspect_wait_spool(rig, "spool", 0, RIG_JOB_MS);
    rig_end(rig);
}

Test(operate, quarantine_ends_a_running_step_and_works_without_an_agent, .timeout = 120)
{
    pid_t transcoder;
    int64_t job;
    struct rig *rig = in_mid_transcode(&transcoder, &job);
    TEXT(record) = inspect_record(rig, "spool");
    const char *id = strrchr(record, '/') + 1;
    rig_kill_agent(rig);
    does(rig, EXIT_TEMPORARY, "spool", "quarantine", id); /* its step is at work */
    rig_start_agent(rig);
    does(rig, 0, "drain", NULL, NULL);
    does(rig, 0, "spool", "quarantine", id);
    cr_assert_eq(inspect_spool_count(rig, "quarantine"), 1);
    inspect_wait_end(transcoder);
    rig_kill_node(rig);
    does(rig, 0, "spool", "retry", id);
    does(rig, 0, "spool", "quarantine", id);
    cr_assert_eq(inspect_spool_count(rig, "spool"), 0);
    rig_start_agent(rig);
    rig_end(rig);
}

/* ---- processes ---- */

static int zombies_of(pid_t parent)
{
    int count = 0;
    DIRECTORY(proc) = opendir("/proc");
    cr_assert(proc);
    struct dirent *entry;
    while ((entry = readdir(proc))) {
        char state = 'X';
        int of = 0;
        TEXT(path) = must_printf("/proc/%s/stat", entry->d_name);
        STREAM(file) = fopen(path, "re");
        if (file && fscanf(file, "%*d (%*[^)]) %c %d", &state, &of) == 2)
            count += state == 'Z' && of == parent;
    }
    return count;
}

static void wait_without_zombies(struct rig *rig)
{
    for (int i = 0; zombies_of(rig->agent->pid) > 0; i++) {
        cr_assert_lt(i, 40);
        peer_wait_more(rig->peer, "POST *heartbeat", 1, RIG_JOB_MS);
    }
}

Test(operate, a_step_that_was_let_go_while_it_ended_is_no_zombie, .timeout = 120)
{
    struct rig *rig = rig_new();
    peer_script(rig_put_peer_between(rig), "POST *complete", "409 code=claim_lost");
    rig_begin(rig, media_clip(MEDIA_TINY));
    char line[LINE_BYTES], step[16];
    rig_expect(rig, "event=step.started", RIG_JOB_MS, line);
    cr_assert(line_value(line, "pid", step, sizeof step));
    rig_expect(rig, "event=job.final outcome=superseded", RIG_JOB_MS, NULL);
    inspect_wait_end((pid_t)strtol(step, NULL, 10));
    wait_without_zombies(rig);
    rig_end(rig);
}

/* As pid 1 of a container: a child that it did not start ends. */
Test(operate, a_child_that_it_did_not_start_is_reaped, .timeout = 120)
{
    struct rig *rig = rig_new();
    rig_put_peer_between(rig);
    rig_start_verifier(rig);
    rig_start_agent(rig);
    TEXT(config) = rig_path(rig, "agent.cfg");
    TEXT(log) = rig_path(rig, "shell.log");
    rig_stop_agent(rig);
    TEXT(end) = rig_path(rig, "end");
    cr_assert_eq(mkfifo(end, 0600), 0);
    rig->agent = process_start((const char *[]){"sh", "-c", ": <\"$2\" & exec \"$0\" -c \"$1\" run",
                                                TAILSLATE_AGENT, config, end, NULL},
                               (const char *const *)rig->env, log, NULL);
    rig_expect(rig, "event=agent.ready", RIG_START_MS, NULL);
    file_write(end, "", 0600); /* as soon as somebody writes, the child is through */
    peer_wait_more(rig->peer, "POST *heartbeat", 3, RIG_JOB_MS);
    wait_without_zombies(rig);
    rig_end(rig);
}

Test(operate, a_second_agent_says_who_has_the_spool_and_that_it_may_pass, .timeout = 60)
{
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    rig_start_agent(rig);
    RUN(second) = command(rig, "run", NULL, NULL);
    TEXT(pid) = must_printf("PID %d", (int)rig->agent->pid);
    cr_assert_eq(second.status, EXIT_TEMPORARY, "%d %s", second.status, second.err);
    cr_assert(strstr(second.err, pid), "%s", second.err);
    rig_end(rig);
}
