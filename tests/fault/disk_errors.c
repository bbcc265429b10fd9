/* One error of the disk at each commit of a record, in each of its steps. fault.h makes it happen
 * once, so the flag file that is left is the proof that the commit was never reached.
 *
 * What is looked at afterwards is what was promised: the job is completed once, by the token of its
 * claim, after one transcode and with no attempt charged; nothing stays in the spool, job.final was
 * said once, and nobody died of a broken invariant. */
#include "base/crash.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "rig.h"
#include "scripted.h"
#include "transcoder.h"

#include <criterion/criterion.h>
#include <string.h>

#define NOT_NOW "503 code=store_unavailable; 503 code=store_unavailable; "
#define MANY_NOT_NOW                                                                               \
    NOT_NOW NOT_NOW NOT_NOW NOT_NOW NOT_NOW NOT_NOW NOT_NOW NOT_NOW NOT_NOW NOT_NOW NOT_NOW NOT_NOW
#define CLAIM_LOST "409 code=claim_lost; 409 code=claim_lost; "

enum { ORDERS_MAX = 8, DONE_MS = 60 * 1000 };

/* "<kind>:<name>", NULL-terminated; the flags are named by their number. */
struct faults {
    const char *orders[ORDERS_MAX];
};

static char *flag_of(const struct rig *rig, size_t order)
{
    return rig_path(rig, "fault.%zu", order);
}

static void announce(struct rig *rig, const struct faults *faults)
{
    TEXT(variable) = must_strdup("");
    for (size_t i = 0; faults->orders[i]; i++) {
        TEXT(flag) = flag_of(rig, i);
        TEXT(before) = steal_text(&variable);
        variable = must_printf("%s%s%s:%s", before, i > 0 ? "," : "", faults->orders[i], flag);
    }
    rig_set_env(rig, "TAILSLATE_FAULT", variable);
}

static void arm(const struct rig *rig, const struct faults *faults)
{
    for (size_t i = 0; faults->orders[i]; i++) {
        TEXT(flag) = flag_of(rig, i);
        file_write(flag, "", 0600);
    }
}

static void all_struck(const struct rig *rig, const struct faults *faults)
{
    for (size_t i = 0; faults->orders[i]; i++) {
        TEXT(flag) = flag_of(rig, i);
        cr_assert(inspect_wait_file(flag, false, 0), "%s was never reached", faults->orders[i]);
    }
}

static void nobody_died(const struct rig *rig)
{
    cr_assert_eq(rig_count_lines(rig, "event=step.ended \"end=\\\"signal"), 0, "a step died");
    cr_assert_eq(rig_count_lines(rig, "event=job.final"), 1);
    inspect_spool_empty(rig);
}

static void completed_once(struct rig *rig, const struct faults *faults, int64_t job)
{
    rig_wait_final(rig, job);
    inspect_wait_spool(rig, "spool", 0, DONE_MS);
    all_struck(rig, faults);
    inspect_job_completed_once(rig, job);
    cr_assert_eq(inspect_int(rig, "SELECT attempt_number FROM transcoding_jobs"), 1,
                 "an attempt was charged");
    cr_assert_eq(rig_count_lines(rig, "event=step.transcoder_started"), 1, "it was done again");
    nobody_died(rig);
    rig_end(rig);
}

/* ---- the straight line ----------------------------------------------------------------------- */

static void straight_line(const struct faults *faults)
{
    char first[128], last[128];
    struct rig *rig = rig_new();
    announce(rig, faults);
    arm(rig, faults);
    rig_start_verifier(rig);
    rig_start_agent(rig);
    int64_t job = rig_add_job(rig, media_clip(MEDIA_TINY), "film");
    inspect_wait_token(rig, first, DONE_MS);
    inspect_wait_int(rig, 1, DONE_MS, "SELECT count(*) FROM completions");
    inspect_text(rig, last, sizeof last, "SELECT token FROM completions");
    cr_assert_str_eq(first, last, "it is not the token of the claim");
    completed_once(rig, faults, job);
}

Test(disk_errors, an_fsync_of_a_file_that_fails_costs_nothing, .timeout = 180)
{
    straight_line(&(struct faults){{"fsync:claim.json", "fsync:outcome.json",
                                    "fsync:completion.json", "fsync:acknowledgement.json"}});
}

Test(disk_errors, a_rename_that_fails_costs_nothing, .timeout = 180)
{
    straight_line(&(struct faults){{"rename:claim.json", "rename:1.1", "rename:outcome.json",
                                    "rename:completion.json", "rename:acknowledgement.json",
                                    "rename:.tmp-removed-1.1"}});
}

Test(disk_errors, a_rename_that_stands_although_it_failed_costs_nothing, .timeout = 180)
{
    straight_line(&(struct faults){{"dirsync:claim.json", "dirsync:1.1", "dirsync:outcome.json",
                                    "dirsync:completion.json", "dirsync:acknowledgement.json",
                                    "dirsync:.tmp-removed-1.1"}});
}

Test(disk_errors, a_disk_that_is_full_when_the_outcome_is_written_costs_the_source_only,
     .timeout = 180)
{
    straight_line(&(struct faults){{"full:outcome.json", "full:outcome.json"}});
}

/* ---- a failure ------------------------------------------------------------------------------- */

static void failure_line(const struct faults *faults)
{
    struct rig *rig = rig_new();
    announce(rig, faults);
    arm(rig, faults);
    rig_start_verifier(rig);
    rig_start_agent(rig);
    rig_add_job(rig, media_clip(MEDIA_TEXT), "film");
    inspect_wait_int(rig, 1, DONE_MS, "SELECT count(*) FROM videos WHERE status='failed'");
    inspect_wait_spool(rig, "spool", 0, DONE_MS);
    all_struck(rig, faults);
    cr_assert_eq(inspect_int(rig, "SELECT attempt_number FROM transcoding_jobs"), 1,
                 "one failure was charged more than once");
    nobody_died(rig);
    rig_end(rig);
}

Test(disk_errors, a_failure_is_reported_once_whatever_failed_in_writing_it, .timeout = 300)
{
    failure_line(&(struct faults){{"fsync:failure.json", "fsync:acknowledgement.json"}});
    failure_line(&(struct faults){{"rename:failure.json", "rename:acknowledgement.json"}});
    failure_line(&(struct faults){{"dirsync:failure.json", "dirsync:acknowledgement.json"}});
    failure_line(&(struct faults){{"full:failure.json"}});
}

Test(disk_errors, nothing_is_deleted_before_the_failure_is_on_the_disk, .timeout = 120)
{
    struct rig *rig = rig_new();
    TEXT(flag) = rig_path(rig, "crash.flag");
    TEXT(crash) = must_printf("%d:%s", CRASH_STEP_FAILURE_SEALED, flag);
    file_write(flag, "", 0600);
    rig_set_env(rig, "TAILSLATE_CRASH", crash);
    rig_put_peer_between(rig);
    peer_script(rig->peer, "POST *fail", MANY_NOT_NOW);
    rig_start_verifier(rig);
    rig_start_agent(rig);
    rig_add_job(rig, media_clip(MEDIA_TEXT), "film");
    cr_assert(inspect_wait_file(flag, false, DONE_MS), "no failure was sealed");
    TEXT(record) = inspect_record(rig, "spool");
    TEXT(source) = must_printf("%s/source", record);
    cr_assert(inspect_wait_file(source, true, 0), "it was deleted before the failure was sealed");
    rig_kill_node(rig);
    rig_end(rig);
}

/* ---- what leads away from the straight line -------------------------------------------------- */

static void lost_line(const struct faults *faults)
{
    struct rig *rig = rig_new();
    announce(rig, faults);
    arm(rig, faults);
    peer_script(rig_put_peer_between(rig), "GET *source*", CLAIM_LOST CLAIM_LOST CLAIM_LOST);
    rig_agent_set(rig, "claim.wait_seconds", "0");
    rig_begin(rig, media_clip(MEDIA_TINY));
    rig_expect(rig, "event=job.final outcome=lost", DONE_MS, NULL);
    inspect_wait_spool(rig, "spool", 0, DONE_MS);
    all_struck(rig, faults);
    nobody_died(rig);
    rig_end(rig);
}

Test(disk_errors, a_lost_claim_ends_once_whatever_failed_in_writing_it_down, .timeout = 180)
{
    lost_line(&(struct faults){{"fsync:lost.json"}});
    lost_line(&(struct faults){{"rename:lost.json"}});
    lost_line(&(struct faults){{"dirsync:lost.json"}});
}

static void missing_line(const struct faults *faults)
{
    struct rig *rig = rig_new();
    announce(rig, faults);
    arm(rig, faults);
    peer_script(rig_put_peer_between(rig), "POST *complete",
                "422 code=output_missing; 422 code=output_missing; pass");
    rig_agent_set(rig, "claim.wait_seconds", "0");
    int64_t job = rig_begin(rig, media_clip(MEDIA_TINY));
    completed_once(rig, faults, job);
}

Test(disk_errors, missing_output_is_uploaded_again_whatever_failed_in_writing_it_down,
     .timeout = 180)
{
    missing_line(&(struct faults){{"fsync:missing.json", "unlink:missing.json"}});
    missing_line(&(struct faults){{"rename:missing.json"}});
    missing_line(&(struct faults){{"dirsync:missing.json", "dirsync:missing.json"}});
}

/* ---- a claim that comes again ---------------------------------------------------------------- */

static void release(struct rig *rig)
{
    RUN(run) = rig_verifier(rig, (const char *[]){"job", "release", "1", NULL});
    cr_assert_eq(run.status, 0, "%s", run.err);
}

static void rebound_line(const struct faults *faults)
{
    struct rig *rig = rig_new();
    announce(rig, faults);
    peer_script(rig_put_peer_between(rig), "POST *complete", MANY_NOT_NOW);
    rig_agent_set(rig, "claim.wait_seconds", "0");
    int64_t job = rig_begin(rig, media_clip(MEDIA_TINY));
    peer_wait(rig->peer, "POST *complete", 1, DONE_MS);
    arm(rig, faults);
    release(rig);
    rig_expect(rig, "event=job.reclaimed epoch=2", DONE_MS, NULL);
    peer_script(rig->peer, "POST *complete", "pass");
    completed_once(rig, faults, job);
}

Test(disk_errors, a_new_claim_is_bound_whatever_failed_in_writing_it_down, .timeout = 180)
{
    rebound_line(&(struct faults){{"fsync:claim.json", "fsync:completion.json"}});
    rebound_line(&(struct faults){{"rename:claim.json", "rename:completion.json"}});
    rebound_line(&(struct faults){{"dirsync:claim.json", "dirsync:completion.json"}});
}

/* The former token in the header and the new one in the body would be refused for ever. */
Test(disk_errors, what_is_presented_names_the_token_that_is_on_the_disk, .timeout = 120)
{
    struct rig *rig = rig_new();
    const struct faults faults = {{"dirsync:claim.json"}};
    peer_set_upstream(rig_put_peer_between(rig), 0);
    scripted_server(rig->peer, SCRIPTED_STOCK_CLAIM "; " SCRIPTED_NO_JOB,
                    "503 retry-after=2; 409; 200 ack");
    peer_script(rig->peer, "POST *claim?*job_id=7*", SCRIPTED_STOCK_CLAIM);
    announce(rig, &faults);
    rig_start_agent(rig);
    peer_wait(rig->peer, "POST *complete", 1, DONE_MS);
    arm(rig, &faults);
    rig_wait_final(rig, 7);
    all_struck(rig, &faults);
    const struct peer_request *last = peer_request(rig->peer, "POST *complete", 2);
    cr_assert(last);
    const char *body = strstr(last->body, "\"completion_token\":\"");
    const char *header = strstr(last->headers, "Idempotency-Key: ");
    cr_assert(body && header);
    body += strlen("\"completion_token\":\"");
    header += strlen("Idempotency-Key: ");
    cr_assert_eq(strncmp(body, header, strcspn(body, "\"")), 0, "%.60s and %.60s", body, header);
    inspect_wait_spool(rig, "spool", 0, DONE_MS);
    nobody_died(rig);
    rig_end(rig);
}

/* The claim's answer gets lost, so that the server holds the job for a claim that we know nothing
 * of. */
static void taken_back_line(const struct faults *faults)
{
    struct rig *rig = rig_new();
    announce(rig, faults);
    struct peer *peer = rig_put_peer_between(rig);
    peer_script(peer, "POST *claim*", "pass; lost; pass");
    peer_script(peer, "POST *complete", MANY_NOT_NOW);
    rig_agent_set(rig, "claim.wait_seconds", "30");
    int64_t job = rig_begin(rig, media_clip(MEDIA_TINY));
    peer_wait(peer, "POST *complete", 1, DONE_MS);
    release(rig);
    inspect_wait_int(rig, 2, DONE_MS, "SELECT claim_epoch FROM job_epochs");
    peer_script(peer, "POST *complete", "pass");
    rig_expect(rig, "event=job.final outcome=superseded", DONE_MS, NULL);
    inspect_wait_spool(rig, "kept", 1, DONE_MS);
    arm(rig, faults);
    release(rig);
    rig_expect(rig, "event=job.final outcome=completed", DONE_MS, NULL);
    inspect_job_completed_once(rig, job);
    inspect_wait_spool(rig, "spool", 0, DONE_MS);
    inspect_spool_empty(rig);
    all_struck(rig, faults);
    cr_assert_eq(rig_count_lines(rig, "event=step.transcoder_started"), 1, "it was done again");
    rig_end(rig);
}

Test(disk_errors, retained_work_is_taken_back_whatever_failed_in_taking_it, .timeout = 180)
{
    taken_back_line(&(struct faults){{"fsync:claim.json", "unlink:reason.json", "rename:1.1"}});
    taken_back_line(&(struct faults){{"dirsync:claim.json", "dirsync:reason.json", "dirsync:1.1"}});
}
