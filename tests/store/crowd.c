/* The promises when everything comes at once, over two stores of one database as two verifiers have
 * them: one effect, no false answer, and completed stays completed. */
#include "lib/cleanup.h"
#include "store_rig.h"
#include "verifier/db/db.h"
#include "verifier/http/complete.h"
#include "verifier/store/store_claim.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { CROWD = 64 };

struct member;
typedef void acting(struct member *member);

struct member {
    pthread_t thread;
    pthread_barrier_t *start;
    struct rig *rig;
    struct store *store;
    const struct store_worker *worker;
    acting *act;
    int64_t job, epoch;
    int token;
    /* What it was told. */
    int result;
    struct error err;
    struct tailslate_result completed;
    struct store_failed failed;
    enum tailslate_standing standing;
    struct message_claim claim;
};

struct crowd {
    struct rig *rig;
    struct store *second;
    struct member members[CROWD];
};

static struct crowd *crowd_new(void)
{
    struct crowd *crowd = must_calloc(1, sizeof *crowd);
    struct error err;
    crowd->rig = rig_new();
    crowd->second = rig_open(crowd->rig, crowd->rig->url, &err);
    cr_assert(crowd->second, "%s", err.message);
    return crowd;
}

static void crowd_free(struct crowd *crowd)
{
    store_close(crowd->second);
    rig_free(crowd->rig);
    free(crowd);
}

static void *live(void *ctx)
{
    struct member *member = ctx;
    pthread_barrier_wait(member->start);
    member->act(member);
    return NULL;
}

static void crowd_run(struct crowd *crowd, int count)
{
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, (unsigned)count);
    for (int i = 0; i < count; i++) {
        struct member *member = &crowd->members[i];
        member->start = &start;
        member->rig = crowd->rig;
        member->store = i % 2 ? crowd->second : crowd->rig->store;
        cr_assert_eq(pthread_create(&member->thread, NULL, live, member), 0);
    }
    for (int i = 0; i < count; i++)
        pthread_join(crowd->members[i].thread, NULL);
    pthread_barrier_destroy(&start);
    for (int i = 0; i < count; i++)
        cr_expect_eq(crowd->members[i].result, 0, "%d: %s", i, crowd->members[i].err.message);
}

static struct store_caller caller_of(const struct member *member)
{
    return (struct store_caller){member->worker, member->epoch};
}

static void complete(struct member *member)
{
    struct store_caller caller = caller_of(member);
    struct tailslate_completion completion = rig_completion(member->job, member->token);
    member->result = complete_job(member->store, NULL, &caller, member->job, &completion,
                                  &member->completed, &member->err);
}

static void fail(struct member *member)
{
    struct store_caller caller = caller_of(member);
    struct message_failure failure = {.reason = "it broke", .retry = true};
    member->result = store_fail(member->store, &caller, member->job, &failure, &member->failed,
                                &member->err);
}

static void progress(struct member *member)
{
    struct store_caller caller = caller_of(member);
    struct message_progress progress = {.step = WORK_TRANSCODE,
                                        .percent = 50,
                                        .duration = TAILSLATE_ABSENT_NUMBER,
                                        .source_width = TAILSLATE_ABSENT_INT,
                                        .source_height = TAILSLATE_ABSENT_INT,
                                        .qualities = {{.quality = TAILSLATE_QUALITY_720P,
                                                       .status = QUALITY_STATUS_IN_PROGRESS,
                                                       .percent = 50,
                                                       .segments_total = TAILSLATE_ABSENT_INT,
                                                       .segments_completed = TAILSLATE_ABSENT_INT}},
                                        .quality_count = 1};
    char expires[WALL_TEXT_BYTES];
    member->result = store_progress(member->store, &caller, member->job, &progress,
                                    &member->standing, expires, &member->err);
}

static void release(struct member *member)
{
    enum store_release released;
    member->result = store_job_release(member->store, member->job, &released, &member->err);
}

static void claim(struct member *member)
{
    member->result = store_claim(member->store, member->worker, member->job, &member->claim,
                                 &member->err);
}

static void beat(struct member *member)
{
    struct store_worker worker = *member->worker;
    struct message_heartbeat heartbeat = {
        .status = WORKER_BUSY, .jobs_known = true, .jobs = {member->job}, .job_count = 1};
    member->result = store_heartbeat(member->store, &worker, &heartbeat, &member->err);
}

static struct member anna(struct crowd *crowd, acting *act, int64_t job)
{
    return (struct member){
        .act = act, .worker = &crowd->rig->anna, .job = job, .epoch = 1, .token = 1};
}

/* Exactly one told that it has committed, the others that it is done; and the rows say so. */
static void expect_completed_once(struct crowd *crowd, int from, int count)
{
    int commits = 0;
    for (int i = from; i < from + count; i++) {
        enum tailslate_verdict verdict = crowd->members[i].completed.verdict;
        commits += tailslate_verify_commits(verdict);
        cr_expect(tailslate_verify_commits(verdict) || verdict == TAILSLATE_VERDICT_REPLAY,
                  "%d: %d", i, verdict);
    }
    cr_expect_eq(commits, 1, "%d commits", commits);
    cr_expect_eq(rig_number(crowd->rig, "SELECT COUNT(*) FROM completions"), 1);
    cr_expect_eq(rig_number(crowd->rig, "SELECT COUNT(*) FROM video_qualities"), 1);
    cr_expect_eq(rig_number(crowd->rig, "SELECT COUNT(*) FROM transcoding_jobs WHERE completed_at"
                                        " IS NOT NULL AND progress_percent = 100"
                                        " AND claimed_at IS NULL"),
                 1);
    rig_expect(crowd->rig, "ready", "SELECT status FROM videos");
}

static int64_t claimed_job(struct crowd *crowd)
{
    int64_t job = rig_add_job(crowd->rig, "film");
    cr_assert_eq(rig_claim(crowd->rig, &crowd->rig->anna, job).claim_epoch, 1);
    return job;
}

static void complete_in_a_crowd(bool same_token)
{
    struct crowd *crowd = crowd_new();
    int64_t job = claimed_job(crowd);
    for (int i = 0; i < CROWD; i++) {
        crowd->members[i] = anna(crowd, complete, job);
        crowd->members[i].token = same_token ? 1 : i % 8; /* 0: none */
    }
    crowd_run(crowd, CROWD);
    expect_completed_once(crowd, 0, CROWD);
    crowd_free(crowd);
}

Test(crowd, sixty_four_copies_of_one_completion_over_two_verifiers_have_one_effect)
{
    complete_in_a_crowd(true);
}

Test(crowd, sixty_four_completions_with_and_without_tokens_have_one_effect)
{
    complete_in_a_crowd(false);
}

/* Against everything else that the holder itself, and an operator, can do to the claim. */
static void complete_against(acting *other)
{
    enum { ROUNDS = 2, HALF = 8 };
    for (int round = 0; round < ROUNDS; round++) {
        struct crowd *crowd = crowd_new();
        int64_t job = claimed_job(crowd);
        for (int i = 0; i < HALF; i++) {
            crowd->members[i] = anna(crowd, complete, job);
            crowd->members[HALF + i] = anna(crowd, other, job);
        }
        crowd_run(crowd, 2 * HALF);
        expect_completed_once(crowd, 0, HALF);
        cr_expect_leq(rig_number(crowd->rig, "SELECT attempt_number FROM transcoding_jobs"), 2);
        cr_expect_eq(rig_number(crowd->rig, "SELECT COUNT(*) FROM workers WHERE current_job_id"
                                            " IS NOT NULL"),
                     0);
        crowd_free(crowd);
    }
}

Test(crowd, failures_beside_completions_change_nothing_that_is_completed)
{
    complete_against(fail);
}

Test(crowd, releases_beside_completions_change_nothing_that_is_completed)
{
    complete_against(release);
}

Test(crowd, progress_beside_completions_changes_nothing_that_is_completed)
{
    complete_against(progress);
}

Test(crowd, heartbeats_beside_completions_change_nothing_that_is_completed)
{
    complete_against(beat);
}

Test(crowd, copies_of_one_failure_charge_one_attempt)
{
    struct crowd *crowd = crowd_new();
    int64_t job = claimed_job(crowd);
    for (int i = 0; i < CROWD; i++)
        crowd->members[i] = anna(crowd, fail, job);
    crowd_run(crowd, CROWD);
    int first = 0;
    for (int i = 0; i < CROWD; i++) {
        first += !crowd->members[i].failed.replayed;
        cr_expect(crowd->members[i].failed.will_retry);
        cr_expect_eq(crowd->members[i].failed.attempt_number, 1);
    }
    cr_expect_eq(first, 1);
    cr_expect_eq(rig_number(crowd->rig, "SELECT attempt_number FROM transcoding_jobs"), 2);
    crowd_free(crowd);
}

/* P4: either she was in time, or he has it and never notices her. */
Test(crowd, a_late_completion_and_a_new_holder_never_both_win)
{
    enum { ROUNDS = 6 };
    struct crowd *crowd = crowd_new();
    for (int round = 0; round < ROUNDS; round++) {
        char slug[32];
        snprintf(slug, sizeof slug, "film-%d", round);
        int64_t job = rig_add_job(crowd->rig, slug);
        enum store_release released;
        struct error err;
        rig_claim(crowd->rig, &crowd->rig->anna, job);
        cr_assert_eq(store_job_release(crowd->rig->store, job, &released, &err), 0);
        struct member *completes = &crowd->members[0], *claims = &crowd->members[1];
        *completes = anna(crowd, complete, job);
        *claims = anna(crowd, claim, job);
        claims->worker = &crowd->rig->bert;
        crowd_run(crowd, 2);
        bool in_time = completes->completed.verdict == TAILSLATE_VERDICT_COMMIT_LATE;
        cr_expect(in_time || completes->completed.verdict == TAILSLATE_VERDICT_SUPERSEDED, "%d",
                  completes->completed.verdict);
        cr_expect_eq(claims->claim.job_id, in_time ? 0 : job);
        if (!in_time)
            cr_expect_eq(rig_progress(crowd->rig, rig_caller(&crowd->rig->bert, 2), job),
                         TAILSLATE_STANDING_HELD);
    }
    crowd_free(crowd);
}

/* More claimants than jobs, and then all who found none once more: nothing is left over. */
Test(crowd, fifty_claimants_share_forty_jobs_and_none_is_given_twice)
{
    enum { CLAIMANTS = 50, JOBS = 40 };
    struct crowd *crowd = crowd_new();
    int given[JOBS + 1] = {0}, total = 0;
    for (int i = 0; i < JOBS; i++)
        rig_add_job(crowd->rig, NULL);
    for (int i = 0; i < CLAIMANTS; i++) {
        crowd->members[i] = anna(crowd, claim, 0);
        crowd->members[i].worker = i % 3 ? &crowd->rig->anna : &crowd->rig->bert;
    }
    crowd_run(crowd, CLAIMANTS);
    for (int i = 0; i < CLAIMANTS; i++)
        given[crowd->members[i].claim.job_id]++;
    for (int64_t job; (job = rig_claim(crowd->rig, &crowd->rig->anna, 0).job_id) != 0;)
        given[job]++;
    for (int i = 1; i <= JOBS; i++) {
        cr_expect_eq(given[i], 1, "job %d was given %d times", i, given[i]);
        total += given[i];
    }
    cr_expect_eq(total, JOBS);
    crowd_free(crowd);
}
