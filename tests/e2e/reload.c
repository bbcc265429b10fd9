/* The configuration breaks under an agent that runs: the steps that it starts read the file again.
 */
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static void set_aside(const char *path)
{
    TEXT(aside) = must_printf("%s.aside", path);
    cr_assert_eq(rename(path, aside), 0);
}

static void put_back(const char *path)
{
    TEXT(aside) = must_printf("%s.aside", path);
    cr_assert_eq(rename(aside, path), 0);
}

static void break_for_a_while(struct rig *rig, const char *path, const char *instead)
{
    rig_start_verifier(rig);
    rig_start_agent(rig);
    set_aside(path);
    if (instead) {
        FD(file) = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        cr_assert(file >= 0 && dprintf(file, "%s\n", instead) > 0);
    }
    int64_t job = rig_add_job(rig, media_clip(MEDIA_TINY), "film");
    rig_expect(rig, "event=step.not_configured", RIG_JOB_MS, NULL);
    put_back(path);
    rig_wait_completed(rig, job);
    cr_assert_eq(rig_count_lines(rig, "event=step.no_result"), 0, "a step was started");
    cr_assert_eq(rig_count_lines(rig, "event=step.not_configured"), 1);
    cr_assert_eq(inspect_int(rig, "SELECT attempt_number FROM transcoding_jobs"), 1);
}

Test(reload, a_file_that_is_being_edited_costs_no_job_its_attempts, .timeout = 120)
{
    struct rig *rig = rig_new();
    TEXT(path) = rig_path(rig, "agent.cfg");
    break_for_a_while(rig, path, "server: { url = ");
    rig_end(rig);
}

Test(reload, a_key_file_that_is_away_costs_no_job_its_attempts, .timeout = 120)
{
    struct rig *rig = rig_new();
    TEXT(path) = rig_path(rig, "node.key");
    break_for_a_while(rig, path, NULL);
    rig_end(rig);
}

Test(reload, another_codec_is_made_at_once_by_the_encoder_that_was_found_to_work, .timeout = 120)
{
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    rig_start_agent(rig);
    rig_expect(rig, "event=encoders.found codec=auto", RIG_JOB_MS, NULL);
    inspect_wait_status(rig, NULL, "encoder h264 by libx264 (cpu)\n", RIG_START_MS);
    rig_agent_set(rig, "transcode.codec", "\"av1\"");
    RUN(written) = rig_agent(rig, (const char *[]){"status", NULL});
    process_signal(rig->agent, SIGHUP);
    rig_expect(rig, "event=encoders.found codec=av1", RIG_START_MS, NULL);
    inspect_wait_status(rig, NULL, "encoder av1 by libsvtav1 (cpu)\n", RIG_START_MS);
    inspect_wait_status(rig, "--json", "\"name\": \"libsvtav1\"", RIG_START_MS);
    inspect_wait_int(rig, 1, RIG_START_MS,
                     "SELECT count(*) FROM workers WHERE metadata LIKE "
                     "'%%\"encoder\":\"libsvtav1\"%%'");
    rig_end(rig);
}
