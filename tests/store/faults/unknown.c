/* A commit whose outcome the store cannot know: the connection ends between COMMIT and its answer.
 * Either it has happened and the answer is lost, or it has not; nothing tells the two apart but a
 * second look. */
#include "bench.h"
#include "verifier/db/db.h"
#include "verifier/http/complete.h"
#include "verifier/store/store_claim.h"
#include "verifier/store/store_fail.h"

#include <criterion/criterion.h>

/* anna has the job, and the next commit goes wrong. */
static struct bench claimed_and_cut(enum fault fault)
{
    struct bench bench = bench_new();
    rig_claim(bench.rig, &bench.rig->anna, 0);
    fault_proxy_cut(bench.proxy, "COMMIT", fault);
    return bench;
}

static int complete(struct bench *bench, struct tailslate_result *result, struct error *err)
{
    struct store_caller anna = rig_caller(&bench->rig->anna, 1);
    struct tailslate_completion completion = rig_completion(bench->job_id, 1);
    return complete_job(bench->rig->store, NULL, &anna, bench->job_id, &completion, result, err);
}

static int64_t completions(struct bench *bench)
{
    return rig_number(bench->rig, "SELECT COUNT(*) FROM completions");
}

Test(unknown_completion, that_was_committed_is_acknowledged_after_a_second_look)
{
    struct bench bench = claimed_and_cut(FAULT_ANSWER_LOST);
    struct tailslate_result result;
    struct error err;
    cr_expect_eq(complete(&bench, &result, &err), 0, "%s", err.message);
    cr_expect_eq(result.verdict, TAILSLATE_VERDICT_COMMIT);
    cr_expect_eq(fault_proxy_cuts(bench.proxy), 1);
    cr_expect_eq(completions(&bench), 1);
    bench_free(&bench);
}

Test(unknown_completion, that_cannot_be_looked_at_is_no_answer_and_its_replay_is_true)
{
    struct bench bench = claimed_and_cut(FAULT_ANSWER_LOST);
    struct tailslate_result result;
    struct error err;
    fault_proxy_refuse_after_cut(bench.proxy);
    cr_expect_eq(complete(&bench, &result, &err), -1);
    cr_expect_eq(err.code, DB_UNKNOWN, "%s", err.message);
    cr_expect_eq(err.class, ERROR_TEMPORARY);
    cr_expect_eq(completions(&bench), 1);

    fault_proxy_refuse(bench.proxy, false);
    while (complete(&bench, &result, &err) != 0) /* until the pool tries again */
        cr_assert_eq(err.class, ERROR_TEMPORARY);
    cr_expect_eq(result.verdict, TAILSLATE_VERDICT_REPLAY);
    cr_expect_eq(completions(&bench), 1);
    bench_free(&bench);
}

Test(unknown_completion, that_was_not_committed_is_no_answer_and_is_committed_when_it_comes_again)
{
    struct bench bench = claimed_and_cut(FAULT_NOT_PASSED);
    struct tailslate_result result;
    struct error err;
    cr_expect_eq(complete(&bench, &result, &err), -1);
    cr_expect_eq(err.code, DB_UNKNOWN, "%s", err.message);
    cr_expect_eq(completions(&bench), 0);
    cr_expect_eq(complete(&bench, &result, &err), 0, "%s", err.message);
    cr_expect_eq(result.verdict, TAILSLATE_VERDICT_COMMIT);
    cr_expect_eq(completions(&bench), 1);
    bench_free(&bench);
}

static int claim(struct bench *bench, int64_t job_id, struct message_claim *given,
                 struct error *err)
{
    return store_claim(bench->rig->store, &bench->rig->anna, job_id, given, err);
}

Test(unknown_claim, that_was_committed_is_given_again_to_its_holder_and_to_nobody_else)
{
    struct bench bench = bench_new();
    struct message_claim given;
    struct error err;
    fault_proxy_cut(bench.proxy, "COMMIT", FAULT_ANSWER_LOST);
    cr_expect_eq(claim(&bench, 0, &given, &err), -1);
    cr_expect_eq(err.code, DB_UNKNOWN, "%s", err.message);
    cr_expect_eq(rig_claim(bench.rig, &bench.rig->bert, 0).job_id, 0);
    cr_expect_eq(claim(&bench, bench.job_id, &given, &err), 0);
    cr_expect_eq(given.job_id, bench.job_id);
    cr_expect_eq(given.claim_epoch, 2);
    bench_free(&bench);
}

Test(unknown_claim, that_was_not_committed_leaves_the_job_to_everybody)
{
    struct bench bench = bench_new();
    struct message_claim given;
    struct error err;
    fault_proxy_cut(bench.proxy, "COMMIT", FAULT_NOT_PASSED);
    cr_expect_eq(claim(&bench, 0, &given, &err), -1);
    struct message_claim berts = rig_claim(bench.rig, &bench.rig->bert, 0);
    cr_expect_eq(berts.job_id, bench.job_id);
    cr_expect_eq(berts.claim_epoch, 1);
    bench_free(&bench);
}

static void fail_twice(enum fault fault, bool is_replayed)
{
    struct bench bench = claimed_and_cut(fault);
    struct message_failure failure = {.reason = "it broke", .retry = true};
    struct store_failed result;
    struct error err;
    struct store_caller anna = rig_caller(&bench.rig->anna, 1);
    cr_expect_eq(store_fail(bench.rig->store, &anna, bench.job_id, &failure, &result, &err), -1);
    cr_expect_eq(err.code, DB_UNKNOWN, "%s", err.message);
    result = rig_fail(bench.rig, anna, bench.job_id, true);
    cr_expect_eq(result.replayed, is_replayed);
    cr_expect(result.will_retry);
    cr_expect_eq(result.attempt_number, 1);
    cr_expect_eq(rig_number(bench.rig, "SELECT attempt_number FROM transcoding_jobs"), 2);
    cr_expect_eq(rig_number(bench.rig, "SELECT COUNT(*) FROM failures"), 1);
    bench_free(&bench);
}

Test(unknown_failure, that_was_committed_charges_one_attempt)
{
    fail_twice(FAULT_ANSWER_LOST, true);
}

Test(unknown_failure, that_was_not_committed_charges_one_attempt)
{
    fail_twice(FAULT_NOT_PASSED, false);
}

static void keep_twice(enum fault fault)
{
    struct bench bench = claimed_and_cut(fault);
    struct message_progress progress = rig_half_way();
    enum tailslate_standing standing;
    char expires[WALL_TEXT_BYTES];
    struct error err;
    int published = 0;
    struct store_caller anna = rig_caller(&bench.rig->anna, 1);
    cr_expect_eq(
        store_progress(bench.rig->store, &anna, bench.job_id, &progress, &standing, expires, &err),
        -1);
    cr_expect_eq(err.code, DB_UNKNOWN, "%s", err.message);
    cr_expect_eq(rig_progress(bench.rig, anna, bench.job_id), TAILSLATE_STANDING_HELD);

    fault_proxy_cut(bench.proxy, "COMMIT", fault);
    cr_expect_eq(store_upload(bench.rig->store, &anna, bench.job_id, rig_publish, &published,
                              &standing, &err),
                 -1);
    cr_expect_eq(err.code, DB_UNKNOWN, "%s", err.message);
    cr_expect_eq(store_upload(bench.rig->store, &anna, bench.job_id, rig_publish, &published,
                              &standing, &err),
                 0);
    cr_expect_eq(standing, TAILSLATE_STANDING_HELD);
    cr_expect_eq(published, 2, "put in its place again, which changes nothing");
    bench_free(&bench);
}

Test(unknown_progress_and_upload, that_were_committed_are_no_answer_and_go_well_again)
{
    keep_twice(FAULT_ANSWER_LOST);
}

Test(unknown_progress_and_upload, that_were_not_committed_are_no_answer_and_go_well_again)
{
    keep_twice(FAULT_NOT_PASSED);
}
