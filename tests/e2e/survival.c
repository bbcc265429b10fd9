/* What dies, is stopped or cannot be reached, and what goes on all the same. */
#include "base/clock.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "transcoder.h"
#include "worker.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { STARTED_MS = 30 * 1000, END_WITHIN_MS = 10 * 1000 };

/* Once its identity is on disk, and a first segment with it. */
static pid_t wait_transcoder(struct rig *rig)
{
    pid_t pid = transcoder_wait(rig);
    TEXT(record) = inspect_record(rig, "spool");
    cr_assert(record);
    TEXT(segment) = must_printf("%s/output/360p/init.mp4", record);
    cr_assert(inspect_wait_file(segment, true, STARTED_MS), "%s did not come", segment);
    return pid;
}

static pid_t step_of(const struct rig *rig)
{
    pid_t pid = 0;
    TEXT(config) = rig_path(rig, "agent.cfg");
    TEXT(spool) = rig_path(rig, "agent/spool/");
    const char *words[] = {config, spool, NULL};
    cr_assert_eq(inspect_processes(words, &pid, 1), 1, "not one step runs");
    return pid;
}

/* So many seconds of video, at the speed at which it plays. */
static struct rig *transcoding(enum media clip, pid_t *transcoder, int64_t *job)
{
    struct rig *rig = rig_new();
    transcoder_takes_time(rig, "1");
    *job = rig_begin(rig, media_clip(clip));
    *transcoder = wait_transcoder(rig);
    cr_assert(inspect_lives(*transcoder));
    return rig;
}

static struct rig *in_mid_transcode(pid_t *transcoder, int64_t *job)
{
    return transcoding(MEDIA_NORMAL, transcoder, job);
}

static void check_token_is(const struct rig *rig, const char *first)
{
    char token[128];
    inspect_text(rig, token, sizeof token, "SELECT token FROM completions");
    cr_assert_str_eq(token, first);
}

Test(survival, a_killed_agent_costs_no_running_transcode, .timeout = 120)
{
    pid_t transcoder;
    int64_t job;
    char token[128];
    struct rig *rig = in_mid_transcode(&transcoder, &job);
    inspect_wait_token(rig, token, STARTED_MS);
    rig_kill_agent(rig);
    cr_assert(inspect_lives(transcoder));
    rig_start_agent(rig);
    rig_expect(rig, "event=step.adopted", STARTED_MS, NULL);
    cr_assert(inspect_lives(transcoder), "the new agent did away with it");
    rig_wait_completed(rig, job);
    cr_assert_eq(transcoder_starts(rig), 1, "it was transcoded again");
    check_token_is(rig, token);
    rig_end(rig);
}

/* As hidepid or another pid namespace would have it: the record is held, by nobody to be seen. */
Test(survival, a_step_that_cannot_be_seen_is_said_once_and_left_to_end, .timeout = 120)
{
    pid_t transcoder;
    int64_t job;
    struct rig *rig = transcoding(MEDIA_LONG, &transcoder, &job);
    TEXT(record) = inspect_record(rig, "spool");
    TEXT(identity) = must_printf("%s/step.process", record);
    rig_kill_agent(rig);
    TEXT(of_another) = must_printf("{\"boot_id\":\"of another boot\",\"pid\":%d,\"start_ticks\":1}",
                                   (int)getpid());
    file_write(identity, of_another, 0600);
    rig_start_agent(rig);
    char line[LINE_BYTES];
    rig_expect(rig, "event=step.not_adoptable job=1 hint=", STARTED_MS, line);
    cr_assert(strstr(line, "level=warning"), "%s", line);
    inspect_wait_status(rig, "--json", "\"step_unseen\": true", STARTED_MS);
    inspect_wait_status(rig, NULL, "NOT VISIBLE TO AGENT", STARTED_MS);
    rig_wait_completed(rig, job);
    cr_assert_eq(transcoder_starts(rig), 1, "it was transcoded again");
    cr_assert_eq(rig_count_lines(rig, "event=step.not_adoptable"), 1);
    rig_end(rig);
}

Test(survival, a_job_that_ends_while_no_agent_is_there_is_delivered_by_the_next, .timeout = 120)
{
    pid_t transcoder;
    int64_t job;
    struct rig *rig = in_mid_transcode(&transcoder, &job);
    TEXT(record) = inspect_record(rig, "spool");
    TEXT(sealed) = must_printf("%s/completion.json", record);
    rig_kill_agent(rig);
    cr_assert(inspect_wait_file(sealed, true, RIG_JOB_MS), "the step did not seal by itself");
    cr_assert_eq(inspect_int(rig, "SELECT count(*) FROM completions"), 0);
    rig_start_agent(rig);
    rig_wait_completed(rig, job);
    cr_assert_eq(transcoder_starts(rig), 1);
    rig_end(rig);
}

Test(survival, a_killed_step_takes_its_transcoder_along_and_is_started_again, .timeout = 120)
{
    pid_t transcoder;
    int64_t job;
    char token[128];
    struct rig *rig = in_mid_transcode(&transcoder, &job);
    inspect_wait_token(rig, token, STARTED_MS);
    pid_t step = step_of(rig);
    cr_assert(kill(step, SIGKILL) == 0);
    rig_wait_completed(rig, job);
    cr_assert_not(inspect_lives(transcoder));
    cr_assert_eq(transcoder_starts(rig), 2);
    check_token_is(rig, token);
    cr_assert_eq(inspect_int(rig, "SELECT attempt_number FROM transcoding_jobs"), 1);
    rig_end(rig);
}

Test(survival, a_node_without_power_goes_on_where_it_stood, .timeout = 120)
{
    pid_t transcoder;
    int64_t job;
    char token[128];
    struct rig *rig = in_mid_transcode(&transcoder, &job);
    inspect_wait_token(rig, token, STARTED_MS);
    rig_kill_node(rig);
    cr_assert_not(inspect_lives(transcoder));
    rig_start_agent(rig);
    rig_wait_completed(rig, job);
    check_token_is(rig, token);
    rig_end(rig);
}

/* Somebody's lease makes an open without waiting fail, as a disk in trouble would. */
static int lease(const char *path)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    int fd = open(path, O_RDWR | O_CLOEXEC);
    cr_assert(fd >= 0 && sigaction(SIGIO, &ignore, NULL) == 0);
    cr_assert_eq(fcntl(fd, F_SETLEASE, F_WRLCK), 0, "%s", strerror(errno));
    return fd;
}

Test(survival, a_record_that_cannot_be_read_at_the_start_is_delivered_later, .timeout = 120)
{
    struct rig *rig = rig_new();
    peer_script(rig_put_peer_between(rig), "POST *complete",
                "503 retry-after=600 code=store_unavailable; pass");
    int64_t job = rig_begin(rig, media_clip(MEDIA_TINY));
    rig_expect(rig, "event=delivery.refused", RIG_JOB_MS, NULL);
    TEXT(record) = inspect_record(rig, "spool");
    TEXT(claim) = must_printf("%s/claim.json", record);
    rig_kill_agent(rig);
    int held = lease(claim);
    rig_start_agent(rig);
    rig_expect(rig, "event=record.unreadable", RIG_START_MS, NULL);
    close(held);
    rig_wait_completed(rig, job);
    rig_end(rig);
}

Test(survival, sigterm_of_the_agent_leaves_the_step_running, .timeout = 120)
{
    pid_t transcoder;
    int64_t job;
    struct rig *rig = in_mid_transcode(&transcoder, &job);
    pid_t step = step_of(rig);
    cr_assert_eq(rig_stop_agent(rig), 0);
    cr_assert(inspect_lives(step) && inspect_lives(transcoder));
    rig_start_agent(rig);
    rig_wait_completed(rig, job);
    cr_assert_eq(transcoder_starts(rig), 1);
    rig_end(rig);
}

Test(survival, a_verifier_that_is_down_when_the_transcode_ends_gets_it_once_later, .timeout = 120)
{
    pid_t transcoder;
    int64_t job;
    struct rig *rig = in_mid_transcode(&transcoder, &job);
    TEXT(record) = inspect_record(rig, "spool");
    TEXT(outcome) = must_printf("%s/outcome.json", record);
    cr_assert_eq(rig_stop_verifier(rig), 0);
    cr_assert(inspect_wait_file(outcome, true, RIG_JOB_MS), "the transcode did not end well");
    rig_start_verifier(rig);
    int64_t up_ms = mono_ms();
    rig_wait_completed(rig, job);
    cr_assert_lt(mono_ms() - up_ms, 30 * 1000);
    cr_assert_eq(transcoder_starts(rig), 1);
    rig_end(rig);
}

Test(survival, a_killed_verifier_is_found_again, .timeout = 120)
{
    pid_t transcoder;
    int64_t job;
    struct rig *rig = in_mid_transcode(&transcoder, &job);
    process_free(rig->verifier); /* kill -9, with an upload half done as like as not */
    rig->verifier = NULL;
    rig_start_verifier(rig);
    rig_wait_completed(rig, job);
    cr_assert_eq(transcoder_starts(rig), 1);
    rig_end(rig);
}

Test(survival, a_sealed_completion_holds_no_slot, .timeout = 120)
{
    struct rig *rig = rig_new();
    struct peer *peer = rig_put_peer_between(rig);
    peer_script(peer, "POST /api/worker/1/complete",
                "503; 503; 503; 503; 503; 503; 503; 503; 503; 503; 503; 503; 503; 503");
    rig_start_verifier(rig);
    int64_t first = rig_add_job(rig, media_clip(MEDIA_TINY), "one");
    int64_t second = rig_add_job(rig, media_clip(MEDIA_TINY), "two");
    rig_start_agent(rig);
    rig_wait_final(rig, second);
    inspect_job_completed_once(rig, second);
    rig_wait_completed(rig, first);
    rig_end(rig);
}

Test(survival, sigterm_ends_the_verifier_in_a_long_poll_and_releases_nothing, .timeout = 60)
{
    struct rig *rig = rig_new();
    rig_agent_set(rig, "claim.wait_seconds", "30");
    rig_start_verifier(rig);
    int64_t job = rig_add_job(rig, media_clip(MEDIA_TINY), "film");
    struct worker alice = worker_new(rig, "alice");
    cr_assert(worker_claim(&alice));
    rig_start_agent(rig);
    /* The agent's claim waits once its worker has been heard and nothing more is available. */
    inspect_wait_int(rig, 1, STARTED_MS,
                     "SELECT count(*) FROM workers WHERE worker_name='node' AND last_heartbeat NOT "
                     "NULL");
    int64_t started_ms = mono_ms();
    process_signal(rig->verifier, SIGTERM);
    cr_assert_eq(process_wait(rig->verifier, END_WITHIN_MS), 0);
    cr_assert_lt(mono_ms() - started_ms, END_WITHIN_MS);
    process_free(rig->verifier);
    rig->verifier = NULL;
    cr_assert_eq(
        inspect_int(rig,
                    "SELECT count(*) FROM transcoding_jobs j JOIN videos v ON v.id=video_id "
                    "WHERE j.id=%lld AND claimed_at NOT NULL AND worker_id NOT NULL AND "
                    "v.status='processing'",
                    (long long)job),
        1, "it released the claim");
    rig_start_verifier(rig);
    worker_put_tree(&alice);
    char token[128];
    worker_token(&alice, token);
    REPLY(reply) = worker_complete(&alice, token);
    reply_is(&reply, 200, NULL);
    rig_end(rig);
}

Test(survival, two_agents_on_one_spool_are_one_too_many, .timeout = 60)
{
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    rig_start_agent(rig);
    RUN(second) = rig_agent(rig, (const char *[]){"run", NULL});
    cr_assert_neq(second.status, 0);
    TEXT(pid) = must_printf("%d", (int)rig->agent->pid);
    cr_assert(strstr(second.err, pid), "it does not say who holds it: %s", second.err);
    rig_end(rig);
}
