/* What the node stands on gives way: a disk that is read-only for a while, files that people or
 * programs have changed, events that come in an unlucky order. */
#include "look.h"
#include "media.h"
#include "transcoder.h"

#include "tailslate/cleanup.h"
#include "tailslate/error.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

/* ---- the disk -------------------------------------------------------------------------------- */

static void in_agents_mounts(const struct rig *rig, const char *command)
{
    TEXT(target) = must_printf("%d", (int)rig->agent->pid);
    RUN(mount) = run_program(
        (const char *[]){"nsenter", "-t", target, "-m", "sh", "-c", command, NULL}, NULL, STOP_MS);
    cr_assert_eq(mount.status, 0, "%s", mount.err);
}

/* In a mount namespace of its own, so that what it stands on can be made read-only. */
static void start_agent_on_own_mounts(struct rig *rig)
{
    /* The file is written by way of any verb. */
    RUN(version) = rig_agent(rig, (const char *[]){"version", NULL});
    TEXT(log) = rig_path(rig, "agent.%d.log", ++rig->agent_lives);
    TEXT(config) = rig_path(rig, "agent.cfg");
    rig->agent = process_start((const char *[]){"unshare", "-m", "--propagation", "private",
                                                TAILSLATE_AGENT, "-c", config, "run", NULL},
                               (const char *const *)rig->env, log, NULL);
}

Test(ground, a_disk_that_is_read_only_for_a_while_costs_another_presentation, .timeout = 120)
{
    struct rig *rig = rig_new();
    struct peer *peer = rig_put_peer_between(rig);
    peer_script(peer, "POST *complete", "503 retry-after=2 code=store_unavailable; pass");
    rig_start_verifier(rig);
    int64_t job = rig_add_job(rig, media_clip(MEDIA_TINY), "film");
    start_agent_on_own_mounts(rig);
    rig_expect(rig, "event=delivery.refused", RIG_JOB_MS, NULL);
    rig_expect(rig, "event=step.ended", RIG_JOB_MS, NULL);
    TEXT(record) = look_record(rig, "spool");
    TEXT(freeze) = must_printf("mount --bind '%s' '%s' && mount -o remount,bind,ro '%s'", record,
                               record, record);
    TEXT(thaw) = must_printf("umount '%s'", record);
    in_agents_mounts(rig, freeze);
    rig_expect(rig, "event=delivery.refused Read-only", RIG_JOB_MS, NULL);
    in_agents_mounts(rig, thaw);
    rig_wait_final(rig, job);
    cr_assert_eq(rig_count_lines(rig, "event=job.final outcome=completed"), 1);
    cr_assert_eq(rig_count_lines(rig, "event=job.final"), 1, "it was given up in between");
    look_job_completed_once(rig, job);
    rig_end(rig);
}

/* ---- the spool ------------------------------------------------------------------------------- */

/* As a write leaves it whose rename was done and whose fsync failed. */
Test(ground, an_acknowledgement_that_is_there_already_is_found, .timeout = 120)
{
    struct rig *rig = rig_new();
    struct peer *peer = rig_put_peer_between(rig);
    peer_script(peer, "POST *complete", "503 retry-after=2 code=store_unavailable; pass");
    int64_t job = rig_begin(rig, media_clip(MEDIA_TINY));
    rig_expect(rig, "event=delivery.refused", RIG_JOB_MS, NULL);
    rig_expect(rig, "event=step.ended", RIG_JOB_MS, NULL);
    TEXT(record) = look_record(rig, "spool");
    TEXT(path) = must_printf("%s/acknowledgement.json", record);
    file_write(path, "{\"status\":\"ok\",\"message\":\"Job completed successfully\"}", 0600);
    rig_wait_final(rig, job);
    look_spool_empty(rig);
    rig_end(rig);
}

/* ---- a command ------------------------------------------------------------------------------- */

Test(ground, what_a_command_leaves_lying_about_is_not_the_film_s_fault, .timeout = 120)
{
    struct rig *rig = rig_new();
    TEXT(text) = must_printf("cp -r '%s'/. \"$1\"\nln -s nowhere \"$1/link\"", media_tree());
    TEXT(script) = rig_script(rig, "transcoder", text);
    TEXT(command) = must_printf("\"%s {output}\"", script);
    rig_agent_set(rig, "transcode.recipe", "\"command\"");
    rig_agent_set(rig, "transcode.command", command);
    rig_start_verifier(rig);
    rig_add_job(rig, media_clip(MEDIA_NORMAL), "film");
    rig_start_agent(rig);
    rig_expect(rig, "event=step.failed retry=yes", RIG_JOB_MS, NULL);
    cr_assert_eq(look_int(rig, "SELECT count(*) FROM videos WHERE status='failed'"), 0);
    rig_end(rig);
}

/* ---- the server ------------------------------------------------------------------------------ */

/* A worker that is silent for an hour is taken for dead, with all its jobs. */
Test(ground, patience_that_a_server_asks_for_does_not_silence_the_heartbeat, .timeout = 60)
{
    char line[LINE_BYTES], delay[32];
    struct rig *rig = rig_new();
    rig_agent_set(rig, "log.level", "\"debug\"");
    peer_script(rig_put_peer_between(rig), "POST *heartbeat", "503 retry-after=3600; pass");
    rig_start_verifier(rig);
    rig_start_agent(rig);
    rig_expect(rig, "event=heartbeat.failed", RIG_START_MS, line);
    cr_assert(line_value(line, "delay_ms", delay, sizeof delay));
    cr_assert_lt(strlen(delay), strlen("100000"), "%s", line);
    rig_end(rig);
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* The signal is fetched before the descriptor: whoever reaps strangers must leave it its child. */
Test(ground, the_end_of_a_trial_is_heard_though_a_signal_came_first, .timeout = 120)
{
    struct rig *rig = rig_new();
    TEXT(gate) = rig_path(rig, "gate");
    TEXT(text) = must_printf("case \"$*\" in *-encoders*) while ! [ -e '%s' ]; do sleep 0.1; done; "
                             "exit 1;; esac",
                             gate);
    transcoder_use(rig, text);
    rig_start_verifier(rig);
    rig_start_agent(rig);
    pid_t trial[1];
    rig_expect(rig, "event=server.fine", RIG_START_MS, NULL);
    while (look_processes((const char *[]){"tailslate-agent", "trial", NULL}, trial, 1) == 0)
        cr_assert(!process_ends_within(rig->agent, 50));
    process_signal(rig->agent, SIGSTOP);
    while (look_state(rig->agent->pid) != 'T')
        cr_assert(!process_ends_within(rig->agent, 20));
    process_signal(rig->agent, SIGCHLD);
    file_write(gate, "", 0600);
    while (look_lives(trial[0]))
        cr_assert(!process_ends_within(rig->agent, 50));
    process_signal(rig->agent, SIGCONT);
    rig_expect(rig, "event=encoders.none", RIG_START_MS, NULL);
    rig_end(rig);
}
