/* What an operator orders about a job, beside everything that a worker may say about it. */
#include "lib/cleanup.h"
#include "store_rig.h"
#include "verifier/store/store_operation.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#define OWN_TABLES_ONLY(rig) ((rig)->schema == STORE_SCHEMA_OWN)

static struct store_operated retry(struct rig *rig, int64_t job)
{
    struct store_operated result;
    struct error err;
    cr_assert_eq(store_job_retry(rig->store, job, &result, &err), 0, "%s", err.message);
    return result;
}

static struct store_operated cancel(struct rig *rig, int64_t job)
{
    struct store_operated result;
    struct error err;
    cr_assert_eq(store_job_cancel(rig->store, job, &result, &err), 0, "%s", err.message);
    return result;
}

static struct store_operated remove_job(struct rig *rig, int64_t job, bool with_files)
{
    struct store_operated result;
    struct error err;
    cr_assert_eq(store_job_delete(rig->store, job, with_files, &result, &err), 0, "%s",
                 err.message);
    return result;
}

static struct store_operated retranscode(struct rig *rig, int64_t job, tailslate_quality_set set)
{
    struct store_operated result;
    struct error err;
    cr_assert_eq(store_job_retranscode(rig->store, job, set, &result, &err), 0, "%s", err.message);
    return result;
}

static struct store_operated set_priority(struct rig *rig, int64_t job, int64_t priority)
{
    struct store_operated result;
    struct error err;
    cr_assert_eq(store_job_set_priority(rig->store, job, priority, &result, &err), 0, "%s",
                 err.message);
    return result;
}

/* Nothing that this claim can send changes anything, and all of it is answered like this. */
static void refused(struct rig *rig, struct store_caller caller, int64_t job,
                    enum tailslate_verdict verdict, enum tailslate_standing standing)
{
    static const char all[] = "SELECT j.id || v.status || COALESCE(j.worker_id, '-') ||"
                              " j.attempt_number || COALESCE(j.last_error, '-') || (SELECT COUNT(*)"
                              " FROM completions) || (SELECT COUNT(*) FROM video_qualities)"
                              " FROM transcoding_jobs j JOIN videos v ON v.id = j.video_id"
                              " WHERE j.id = 1";
    int published = 0;
    enum tailslate_standing of_upload;
    struct error err;
    TEXT(before) = rig_text(rig, all);
    cr_expect_eq(rig_present(rig, caller, job, 1), verdict);
    cr_expect_eq(rig_present(rig, caller, job, 0), verdict, "without a token");
    cr_expect_eq(rig_progress(rig, caller, job), standing);
    cr_expect_eq(rig_fail(rig, caller, job, true).standing, standing);
    cr_assert_eq(store_upload(rig->store, &caller, job, rig_publish, &published, &of_upload, &err),
                 0);
    cr_expect_eq(of_upload, standing);
    cr_expect_eq(published, 0);
    rig_expect(rig, before, all);
}

static struct rig *failed_for_good(void)
{
    struct rig *rig = rig_new_claimed();
    cr_assert_not(rig_fail(rig, rig_caller(&rig->anna, 1), rig->job, false).will_retry);
    return rig;
}

static struct rig *completed(void)
{
    struct rig *rig = rig_new_claimed();
    cr_assert_eq(rig_present(rig, rig_caller(&rig->anna, 1), rig->job, 1),
                 TAILSLATE_VERDICT_COMMIT);
    return rig;
}

/* ---- retry ---- */

Test(operation, a_failed_job_that_is_retried_starts_as_on_its_first_day)
{
    struct rig *rig = rig_new_claimed();
    for (int i = 1; i <= 3; i++) {
        rig_progress(rig, rig_caller(&rig->anna, i), rig->job);
        rig_fail(rig, rig_caller(&rig->anna, i), rig->job, true);
        cr_assert_eq(rig_claim(rig, &rig->anna, 0).job_id, i < 3 ? rig->job : 0);
    }
    cr_expect_null(retry(rig, rig->job).refused);
    rig_expect(rig, "pending1--0",
               "SELECT v.status || j.attempt_number || COALESCE(j.last_error, '-') ||"
               " COALESCE(v.error_message, '-') || (SELECT COUNT(*) FROM quality_progress)"
               " FROM transcoding_jobs j JOIN videos v ON v.id = j.video_id");
    struct message_claim claim = rig_claim(rig, &rig->anna, 0);
    cr_expect_eq(claim.job_id, rig->job);
    cr_expect_eq(claim.attempt_number, 1);
    cr_expect_eq(claim.claim_epoch, 4, "an epoch is never given again");
    cr_expect_eq(rig_present(rig, rig_caller(&rig->anna, 4), rig->job, 1),
                 TAILSLATE_VERDICT_COMMIT);
    rig_free(rig);
}

Test(operation, the_claim_that_failed_cannot_complete_the_job_that_was_retried)
{
    struct rig *rig = failed_for_good();
    struct store_caller old = rig_caller(&rig->anna, 1);
    retry(rig, rig->job);
    refused(rig, old, rig->job, TAILSLATE_VERDICT_SUPERSEDED, TAILSLATE_STANDING_SUPERSEDED);
    cr_assert_eq(rig_claim(rig, &rig->bert, 0).job_id, rig->job);
    refused(rig, old, rig->job, TAILSLATE_VERDICT_SUPERSEDED, TAILSLATE_STANDING_SUPERSEDED);
    cr_expect_eq(rig_present(rig, rig_caller(&rig->bert, 2), rig->job, 2),
                 TAILSLATE_VERDICT_COMMIT);
    rig_free(rig);
}

Test(operation, what_has_not_failed_is_not_retried)
{
    struct rig *rig = rig_new_claimed();
    int64_t waiting = rig_add_job(rig, "waiting");
    cr_expect(strstr(retry(rig, 99).refused, "no such job"));
    cr_expect(strstr(retry(rig, waiting).refused, "waits"));
    cr_expect(strstr(retry(rig, rig->job).refused, "transcoding"));
    cr_expect_eq(rig_progress(rig, rig_caller(&rig->anna, 1), rig->job), TAILSLATE_STANDING_HELD);
    rig_present(rig, rig_caller(&rig->anna, 1), rig->job, 1);
    struct store_operated done = retry(rig, rig->job);
    cr_expect_eq(done.was, STORE_JOB_COMPLETED);
    cr_expect(strstr(done.refused, "retranscode"), "%s", done.refused);
    cr_expect_eq(rig_present(rig, rig_caller(&rig->anna, 1), rig->job, 1),
                 TAILSLATE_VERDICT_REPLAY);
    rig_free(rig);
}

/* More than one batch, with a cancelled one, an open one and a completed one among them. */
Test(operation, all_failed_jobs_are_retried_and_no_others)
{
    enum { FAILED = STORE_RETRY_BATCH + 20 };
    struct rig *rig = rig_new();
    int64_t after = 0, count = -1, all = 0, rounds = 0;
    struct error err;
    for (int i = 0; i < FAILED; i++)
        rig_add_job(rig, NULL);
    rig_sql(rig, "UPDATE transcoding_jobs SET completed_at = '2026-01-01T00:00:00.000000+00:00',"
                 " last_error = 'it broke'; UPDATE videos SET status = 'failed'");
    int64_t cancelled = rig_add_job(rig, "cancelled"), done = rig_add_job(rig, "done");
    rig_claim(rig, &rig->anna, done);
    rig_present(rig, rig_caller(&rig->anna, 1), done, 1);
    cr_expect_null(cancel(rig, cancelled).refused);
    while (count != 0) {
        cr_assert_eq(store_job_retry_failed(rig->store, &after, &count, &err), 0, "%s",
                     err.message);
        all += count;
        rounds++;
    }
    cr_expect_eq(all, FAILED);
    cr_expect_eq(rounds, 3);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM videos WHERE status = 'pending'"), FAILED);
    rig_expect(rig, "failed", "SELECT status FROM videos WHERE slug = 'cancelled'");
    rig_expect(rig, "ready", "SELECT status FROM videos WHERE slug = 'done'");
    rig_free(rig);
}

/* ---- cancel ---- */

Test(operation, the_holder_of_a_cancelled_job_is_told_that_it_is_gone)
{
    struct rig *rig = rig_new_claimed();
    struct store_operated result = cancel(rig, rig->job);
    cr_expect_null(result.refused);
    cr_expect_eq(result.was, STORE_JOB_CLAIMED);
    cr_expect_str_eq(result.worker_name, "anna");
    rig_expect(rig, "failed/" STORE_CANCELLED "/1",
               "SELECT v.status || '/' || j.last_error || '/' || j.attempt_number FROM"
               " transcoding_jobs j JOIN videos v ON v.id = j.video_id"
               " WHERE v.error_message = j.last_error");
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM workers WHERE current_job_id IS NOT NULL"),
                 0);
    refused(rig, rig_caller(&rig->anna, 1), rig->job, TAILSLATE_VERDICT_GONE,
            TAILSLATE_STANDING_GONE);
    cr_expect_eq(rig_claim(rig, &rig->bert, 0).job_id, 0);
    cr_expect_eq(rig_claim(rig, &rig->anna, rig->job).job_id, 0, "nor by its number");
    rig_free(rig);
}

Test(operation, a_cancelled_job_that_is_retried_belongs_to_its_new_claim_alone)
{
    struct rig *rig = rig_new_claimed();
    cancel(rig, rig->job);
    cr_expect_null(retry(rig, rig->job).refused);
    refused(rig, rig_caller(&rig->anna, 1), rig->job, TAILSLATE_VERDICT_SUPERSEDED,
            TAILSLATE_STANDING_SUPERSEDED);
    cr_assert_eq(rig_claim(rig, &rig->anna, 0).claim_epoch, 2);
    refused(rig, rig_caller(&rig->anna, 1), rig->job, TAILSLATE_VERDICT_SUPERSEDED,
            TAILSLATE_STANDING_SUPERSEDED);
    cr_expect_eq(rig_present(rig, rig_caller(&rig->anna, 2), rig->job, 2),
                 TAILSLATE_VERDICT_COMMIT);
    rig_free(rig);
}

Test(operation, a_completion_that_was_first_is_not_cancelled_and_its_replay_is_answered)
{
    struct rig *rig = completed();
    cr_expect_str_eq(cancel(rig, rig->job).refused, "it has completed");
    cr_expect_eq(rig_present(rig, rig_caller(&rig->anna, 1), rig->job, 1),
                 TAILSLATE_VERDICT_REPLAY);
    rig_expect(rig, "ready", "SELECT status FROM videos");
    rig_free(rig);
}

Test(operation, a_job_is_cancelled_before_anybody_has_claimed_it_and_once)
{
    struct rig *rig = rig_new();
    int64_t job = rig_add_job(rig, "film");
    cr_expect_null(cancel(rig, job).refused);
    cr_expect_eq(rig_claim(rig, &rig->anna, 0).job_id, 0);
    cr_expect(strstr(cancel(rig, job).refused, "already"));
    cr_expect(strstr(cancel(rig, 99).refused, "no such job"));
    cr_expect_null(retry(rig, job).refused);
    cr_expect_eq(rig_claim(rig, &rig->anna, 0).job_id, job);
    rig_free(rig);
}

struct racer {
    pthread_t thread;
    struct rig *rig;
    struct store_operated cancelled;
    enum tailslate_verdict verdict;
};

static void *cancel_it(void *ctx)
{
    struct racer *racer = ctx;
    racer->cancelled = cancel(racer->rig, racer->rig->job);
    return NULL;
}

static void *complete_it(void *ctx)
{
    struct racer *racer = ctx;
    struct store_caller anna = rig_caller(&racer->rig->anna, 1);
    racer->verdict = rig_present(racer->rig, anna, racer->rig->job, 1);
    return NULL;
}

Test(operation, of_a_completion_and_a_cancellation_at_once_exactly_one_wins)
{
    enum { ROUNDS = 10 };
    for (int i = 0; i < ROUNDS; i++) {
        struct racer racer = {.rig = rig_new_claimed()}, other = {.rig = racer.rig};
        pthread_create(&racer.thread, NULL, i % 2 ? cancel_it : complete_it, &racer);
        pthread_create(&other.thread, NULL, i % 2 ? complete_it : cancel_it, &other);
        pthread_join(racer.thread, NULL);
        pthread_join(other.thread, NULL);
        bool was_cancelled = !(i % 2 ? racer : other).cancelled.refused;
        enum tailslate_verdict verdict = (i % 2 ? other : racer).verdict;
        cr_expect_eq(verdict, was_cancelled ? TAILSLATE_VERDICT_GONE : TAILSLATE_VERDICT_COMMIT);
        rig_expect(racer.rig, was_cancelled ? "failed0" : "ready1",
                   "SELECT status || (SELECT COUNT(*) FROM completions) FROM videos");
        rig_free(racer.rig);
    }
}

/* ---- delete ---- */

Test(operation, a_deleted_job_leaves_nothing_behind_and_its_slug_is_free)
{
    struct rig *rig = completed();
    if (!OWN_TABLES_ONLY(rig)) {
        cr_expect(strstr(remove_job(rig, rig->job, false).refused, "stock vlog server"));
        rig_expect(rig, "ready", "SELECT status FROM videos");
        rig_free(rig);
        return;
    }
    set_priority(rig, rig_add_job(rig, "other"), 5);
    cr_expect_null(remove_job(rig, rig->job, false).refused);
    cr_expect_eq(rig->removed, 0);
    static const char *const tables[] = {"completions",     "job_epochs", "job_holders",
                                         "video_qualities", "failures",   "quality_progress"};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        TEXT(sql) = must_printf("SELECT COUNT(*) FROM %s WHERE %s = 1", tables[i],
                                strcmp(tables[i], "video_qualities") ? "job_id" : "video_id");
        cr_expect_eq(rig_number(rig, sql), 0, "%s", tables[i]);
    }
    cr_expect_eq(rig_present(rig, rig_caller(&rig->anna, 1), rig->job, 1),
                 TAILSLATE_VERDICT_NO_JOB);
    cr_expect_gt(rig_add_job(rig, "film"), rig->job, "a number is never given again");
    rig_free(rig);
}

Test(operation, a_job_that_is_claimed_is_not_deleted_until_it_is_cancelled)
{
    struct rig *rig = rig_new_claimed();
    cr_expect(strstr(remove_job(rig, rig->job, true).refused, "cancel it first"));
    cr_expect_eq(rig_progress(rig, rig_caller(&rig->anna, 1), rig->job), TAILSLATE_STANDING_HELD);
    cr_expect(strstr(remove_job(rig, 99, true).refused, "no such job"));
    cancel(rig, rig->job);
    if (OWN_TABLES_ONLY(rig)) {
        cr_expect_null(remove_job(rig, rig->job, true).refused);
        cr_expect_eq(rig->removed, 1);
        cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM videos"), 0);
    }
    rig_free(rig);
}

/* ---- re-transcode ---- */

Test(operation, a_retranscode_is_not_answered_by_the_completion_before_it)
{
    struct rig *rig = completed();
    struct store_operated result = retranscode(rig, rig->job, 0);
    if (!OWN_TABLES_ONLY(rig)) {
        cr_expect(strstr(result.refused, "stock vlog server"));
        rig_free(rig);
        return;
    }
    cr_expect_null(result.refused);
    rig_expect(rig, "ready", "SELECT status FROM videos");
    refused(rig, rig_caller(&rig->anna, 1), rig->job, TAILSLATE_VERDICT_SUPERSEDED,
            TAILSLATE_STANDING_SUPERSEDED);
    cr_expect(strstr(retranscode(rig, rig->job, 0).refused, "already"));
    cr_assert_eq(rig_claim(rig, &rig->bert, 0).claim_epoch, 2);
    cr_expect_eq(rig->discarded, (1u << TAILSLATE_QUALITY_COUNT) - 1);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM video_qualities"), 0);
    cr_expect_eq(rig_present(rig, rig_caller(&rig->anna, 1), rig->job, 1),
                 TAILSLATE_VERDICT_SUPERSEDED);
    cr_expect_eq(rig_present(rig, rig_caller(&rig->bert, 2), rig->job, 2),
                 TAILSLATE_VERDICT_COMMIT);
    cr_expect_eq(rig_present(rig, rig_caller(&rig->bert, 2), rig->job, 2),
                 TAILSLATE_VERDICT_REPLAY);
    rig_free(rig);
}

static int64_t retranscodes_of_next_claim(struct rig *rig)
{
    struct message_claim claim = rig_claim(rig, &rig->anna, 0);
    cr_assert_eq(claim.job_id, rig->job);
    return claim.retranscodes;
}

/* By this number a node knows whether the work that it still has is what is asked for. */
Test(operation, only_the_first_claim_of_a_retranscode_counts_one_more)
{
    struct rig *rig = completed();
    if (OWN_TABLES_ONLY(rig)) {
        cr_expect_eq(rig_number(rig, "SELECT retranscodes FROM job_epochs"), 0);
        retranscode(rig, rig->job, 0);
        cr_expect_null(cancel(rig, rig->job).refused);
        retranscode(rig, rig->job, 0);
        cr_expect_eq(retranscodes_of_next_claim(rig), 1);
        rig_release(rig, rig->job);
        cr_expect_eq(retranscodes_of_next_claim(rig), 1, "after a claim that was released");
        cr_assert_not(rig_fail(rig, rig_caller(&rig->anna, 3), rig->job, false).will_retry);
        cr_expect_null(retry(rig, rig->job).refused);
        cr_expect_eq(retranscodes_of_next_claim(rig), 1, "after a failure");
        rig_present(rig, rig_caller(&rig->anna, 4), rig->job, 4);
        retranscode(rig, rig->job, 0);
        cr_expect_eq(retranscodes_of_next_claim(rig), 2);
    }
    rig_free(rig);
}

Test(operation, a_retranscode_of_one_rendition_keeps_the_others)
{
    struct rig *rig = completed();
    rig_sql(rig, "INSERT INTO video_qualities (video_id, quality, width, height, bitrate)"
                 " VALUES (1, '480p', 854, 480, 1000)");
    struct store_operated result = retranscode(rig, rig->job, 1u << TAILSLATE_QUALITY_720P);
    if (OWN_TABLES_ONLY(rig)) {
        cr_expect_null(result.refused);
        struct message_claim claim = rig_claim(rig, &rig->anna, 0);
        cr_expect_eq(claim.existing, 1u << TAILSLATE_QUALITY_480P);
        cr_expect_eq(rig->discarded, 1u << TAILSLATE_QUALITY_720P);
    }
    rig_free(rig);
}

Test(operation, a_retranscode_that_nobody_has_claimed_is_taken_back)
{
    struct rig *rig = completed();
    if (OWN_TABLES_ONLY(rig)) {
        TEXT(before) = rig_text(rig, "SELECT completed_at FROM transcoding_jobs");
        retranscode(rig, rig->job, 0);
        cr_expect_null(cancel(rig, rig->job).refused);
        rig_expect(rig, before, "SELECT completed_at FROM transcoding_jobs");
        rig_expect(rig, "ready", "SELECT status FROM videos");
        cr_expect_eq(rig_claim(rig, &rig->bert, 0).job_id, 0);
        cr_expect_eq(rig_present(rig, rig_caller(&rig->anna, 1), rig->job, 1),
                     TAILSLATE_VERDICT_REPLAY);
    }
    rig_free(rig);
}

Test(operation, a_retranscode_without_a_source_is_refused_while_the_video_still_plays)
{
    struct rig *rig = completed();
    rig->has_no_source = true;
    cr_expect(strstr(retranscode(rig, rig->job, 0).refused,
                     OWN_TABLES_ONLY(rig) ? "uploads_dir" : "stock vlog server"));
    rig_expect(rig, "ready", "SELECT status FROM videos");
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM video_qualities"), 1);
    rig_free(rig);
}

Test(operation, only_what_has_completed_is_transcoded_again)
{
    struct rig *rig = failed_for_good();
    int64_t waiting = rig_add_job(rig, "waiting");
    cr_expect(strstr(retranscode(rig, rig->job, 0).refused, "use retry"));
    cr_expect(strstr(retranscode(rig, waiting, 0).refused, "waits"));
    rig_claim(rig, &rig->anna, waiting);
    cr_expect(strstr(retranscode(rig, waiting, 0).refused, "transcoding"));
    cr_expect(strstr(retranscode(rig, 99, 0).refused, "no such job"));
    rig_free(rig);
}

/* ---- priority ---- */

Test(operation, jobs_are_claimed_by_priority_and_then_by_age)
{
    struct rig *rig = rig_new();
    struct store_operated result;
    struct error err;
    int64_t low = rig_add_job(rig, "low"), old = rig_add_job(rig, "old"),
            young = rig_add_job(rig, "young"), high = rig_add_job(rig, "high");
    set_priority(rig, low, -1);
    set_priority(rig, high, 900);
    set_priority(rig, high, 7);
    cr_expect_eq(store_job_set_priority(rig->store, high, 1001, &result, &err), -1);
    cr_expect_eq(store_job_set_priority(rig->store, high, -1001, &result, &err), -1);
    cr_expect_eq(rig_claim(rig, &rig->anna, 0).job_id, high);
    cr_expect_eq(rig_claim(rig, &rig->anna, 0).job_id, old);
    cr_expect_eq(rig_claim(rig, &rig->anna, 0).job_id, young);
    cr_expect_eq(rig_claim(rig, &rig->anna, 0).job_id, low);
    rig_present(rig, rig_caller(&rig->anna, 1), high, 1);
    cr_expect_str_eq(set_priority(rig, high, 1).refused, "it has completed");
    rig_free(rig);
}

Test(operation, a_retry_keeps_the_priority)
{
    struct rig *rig = failed_for_good();
    int64_t other = rig_add_job(rig, "other");
    set_priority(rig, rig->job, 3);
    retry(rig, rig->job);
    cr_expect_eq(rig_claim(rig, &rig->anna, 0).job_id, rig->job);
    cr_expect_eq(rig_claim(rig, &rig->anna, 0).job_id, other);
    rig_free(rig);
}

/* ---- the delay of a retry ---- */

Test(retry_delay, the_worker_that_failed_waits_and_another_one_does_not)
{
    struct rig *rig = rig_new_delayed(30 * 1000);
    struct store_details details;
    struct error err;
    rig->job = rig_add_job(rig, "film");
    rig_claim(rig, &rig->anna, 0);
    rig_fail(rig, rig_caller(&rig->anna, 1), rig->job, true);
    cr_expect_eq(rig_claim(rig, &rig->anna, 0).job_id, 0);
    cr_assert_eq(store_job_details(rig->store, rig->job, &details, &err), 0);
    cr_expect(strstr(details.job.waiting_reason, "failed on worker anna"), "%s",
              details.job.waiting_reason);
    cr_expect_gt(strcmp(details.job.not_before, details.job.waiting_since), 0);
    cr_expect_eq(rig_claim(rig, &rig->bert, 0).job_id, rig->job);
    cr_assert_eq(store_job_details(rig->store, rig->job, &details, &err), 0);
    cr_expect_str_eq(details.job.waiting_reason, "");
    rig_free(rig);
}

Test(retry_delay, is_four_times_as_long_after_each_attempt_and_then_over)
{
    struct rig *rig = rig_new_delayed(30 * 1000);
    int64_t delay_ms = 30 * 1000;
    rig->job = rig_add_job(rig, "film");
    for (int attempt = 1; attempt < 3; attempt++, delay_ms *= 4) {
        cr_assert_eq(rig_claim(rig, &rig->anna, 0).attempt_number, attempt);
        rig_fail(rig, rig_caller(&rig->anna, attempt), rig->job, true);
        rig->ahead_ms += delay_ms - 5000;
        cr_expect_eq(rig_claim(rig, &rig->anna, 0).job_id, 0, "attempt %d", attempt);
        rig->ahead_ms += 5000;
    }
    cr_expect_eq(rig_claim(rig, &rig->anna, 0).job_id, rig->job);
    rig_free(rig);
}

Test(retry_delay, does_not_keep_the_last_holder_from_delivering_or_taking_back_its_claim)
{
    struct rig *rig = rig_new_delayed(30 * 1000);
    rig->job = rig_add_job(rig, "film");
    rig_claim(rig, &rig->anna, 0);
    rig_fail(rig, rig_caller(&rig->anna, 1), rig->job, true);
    cr_expect_eq(rig_present(rig, rig_caller(&rig->anna, 1), rig->job, 1),
                 TAILSLATE_VERDICT_COMMIT_LATE);
    int64_t other = rig_add_job(rig, "other");
    rig_claim(rig, &rig->anna, 0);
    rig_fail(rig, rig_caller(&rig->anna, 1), other, true);
    cr_expect_eq(rig_claim(rig, &rig->anna, other).job_id, other, "asked for by its number");
    rig_free(rig);
}

Test(retry_delay, ends_at_once_where_an_operator_retries)
{
    struct rig *rig = rig_new_delayed(30 * 1000);
    rig->job = rig_add_job(rig, "film");
    rig_claim(rig, &rig->anna, 0);
    rig_fail(rig, rig_caller(&rig->anna, 1), rig->job, true);
    cancel(rig, rig->job);
    retry(rig, rig->job);
    cr_expect_eq(rig_claim(rig, &rig->anna, 0).job_id, rig->job);
    rig_free(rig);
}
