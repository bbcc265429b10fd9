/* What the node stands on gives way: files that people or programs have changed, events that come
 * in an unlucky order. (A disk that turns read-only wants root: tests/long.sh.) */
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "transcoder.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- the spool ------------------------------------------------------------------------------- */

/* As a write leaves it whose rename was done and whose fsync failed. */
Test(ground, an_acknowledgment_that_is_there_already_is_found, .timeout = 120)
{
    struct rig *rig = rig_new();
    struct peer *peer = rig_put_peer_between(rig);
    peer_script(peer, "POST *complete", "503 retry-after=2 code=store_unavailable; pass");
    int64_t job = rig_begin(rig, media_clip(MEDIA_TINY));
    rig_expect(rig, "event=delivery.refused", RIG_JOB_MS, NULL);
    rig_expect(rig, "event=step.ended", RIG_JOB_MS, NULL);
    TEXT(record) = inspect_record(rig, "spool");
    TEXT(path) = must_printf("%s/acknowledgement.json", record);
    file_write(path, "{\"status\":\"ok\",\"message\":\"Job completed successfully\"}", 0600);
    rig_wait_final(rig, job);
    /* The line comes before the record goes. */
    inspect_wait_spool(rig, "spool", 0, RIG_JOB_MS);
    inspect_spool_empty(rig);
    rig_end(rig);
}

/* ---- a command ------------------------------------------------------------------------------- */

Test(ground, what_a_command_leaves_lying_about_is_not_the_video_s_fault, .timeout = 120)
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
    cr_assert_eq(inspect_int(rig, "SELECT count(*) FROM videos WHERE status='failed'"), 0);
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
Test(ground, the_end_of_an_encoder_probe_is_noticed_though_a_signal_came_first, .timeout = 120)
{
    struct rig *rig = rig_new();
    TEXT(up) = rig_path(rig, "up");
    TEXT(gate) = rig_path(rig, "gate");
    TEXT(text) = must_printf("case \"$*\" in *-encoders*) : >'%s'; : <'%s'; exit 1;; esac", up,
                             gate);
    cr_assert(mkfifo(up, 0600) == 0 && mkfifo(gate, 0600) == 0);
    transcoder_use(rig, text);
    rig_start_verifier(rig);
    rig_start_agent(rig);
    free(file_read(up)); /* until the trial stands at the gate */
    pid_t trial[1];
    TEXT(config) = rig_path(rig, "agent.cfg");
    cr_assert_eq(inspect_processes((const char *[]){config, "probe-encoders", NULL}, trial, 1), 1);
    rig_suspend_agent(rig);
    process_signal(rig->agent, SIGCHLD);
    file_write(gate, "", 0600);
    inspect_wait_end(trial[0]);
    rig_resume_agent(rig);
    rig_expect(rig, "event=encoders.none", RIG_START_MS, NULL);
    rig_end(rig);
}
