#include "lib/cleanup.h"
#include "store_rig.h"
#include "verifier/store/store_complete.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

enum { COPIES = 64 };

Test(store_complete, writes_everything_once_and_clears_the_claim)
{
    struct rig *rig = rig_new();
    int64_t job = rig_add_job(rig, "film");
    struct message_claim claim = rig_claim(rig, &rig->anna, 0);
    struct tailslate_completion completion = rig_completion(job, 1);
    struct tailslate_result result = rig_complete(rig, rig_caller(&rig->anna, claim.claim_epoch),
                                                  job, &completion);
    cr_assert_eq(result.verdict, TAILSLATE_VERDICT_COMMIT);
    cr_assert_not(result.late);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM completions"), 1);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM video_qualities"), 1);
    rig_expect(rig, "ready12.5/1920/1080cmafh264",
               "SELECT status || duration || '/' || source_width || '/' ||"
               " source_height || streaming_format || primary_codec FROM videos"
               " WHERE published_at IS NOT NULL");
    rig_expect(rig, "100finalize",
               "SELECT progress_percent || current_step FROM transcoding_jobs"
               " WHERE claimed_at IS NULL AND claim_expires_at IS NULL"
               " AND worker_id IS NOT NULL AND completed_at IS NOT NULL");
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM workers WHERE current_job_id IS NOT NULL"),
                 0);
    rig_free(rig);
}

Test(store_complete, keeps_the_warnings_of_the_work)
{
    struct rig *rig = rig_new_claimed();
    struct store_details details;
    struct error err;
    struct tailslate_completion completion = rig_completion(rig->job, 1);
    tailslate_warnings_add(&completion.warnings, "published without sound");
    rig_complete(rig, rig_caller(&rig->anna, 1), rig->job, &completion);
    cr_assert_eq(store_job_details(rig->store, rig->job, &details, &err), 0, "%s", err.message);
    cr_assert_eq(details.warnings.count, 1);
    cr_expect_str_eq(details.warnings.texts[0], "published without sound");
    rig_free(rig);
}

Test(store_complete, the_workers_job_is_cleared_only_where_it_is_this_one)
{
    struct rig *rig = rig_new();
    int64_t first = rig_add_job(rig, "one");
    rig_add_job(rig, "two");
    rig_claim(rig, &rig->anna, 0);
    rig_claim(rig, &rig->anna, 0);
    rig_present(rig, rig_caller(&rig->anna, 1), first, 1);
    cr_expect_eq(rig_number(rig, "SELECT current_job_id FROM workers WHERE worker_name="
                                 "'anna'"),
                 2);
    rig_free(rig);
}

Test(store_complete, answers_replays_from_what_is_committed)
{
    struct rig *rig = rig_new_claimed();
    struct store_caller anna = rig_caller(&rig->anna, 1);
    struct tailslate_completion completion = rig_completion(rig->job, 1), changed = completion;
    changed.duration = 13;
    struct tailslate_result first = rig_complete(rig, anna, rig->job, &completion);
    struct tailslate_result again = rig_complete(rig, anna, rig->job, &completion);
    cr_expect_eq(again.verdict, TAILSLATE_VERDICT_REPLAY);
    cr_expect_str_eq(again.completed_at, first.completed_at);
    cr_expect_eq(rig_complete(rig, anna, rig->job, &changed).verdict,
                 TAILSLATE_VERDICT_TOKEN_REUSED);
    cr_expect_eq(rig_present(rig, anna, rig->job, 2), TAILSLATE_VERDICT_REPLAY);
    struct store_worker carl = rig_add_worker(rig, "carl");
    cr_expect_eq(rig_present(rig, rig_caller(&carl, TAILSLATE_ABSENT_INT), rig->job, 1),
                 TAILSLATE_VERDICT_NOT_YOURS);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM completions"), 1);
    rig_free(rig);
}

Test(store_complete, without_a_token_is_taken_once)
{
    struct rig *rig = rig_new_claimed();
    struct store_caller anna = rig_caller(&rig->anna, TAILSLATE_ABSENT_INT);
    cr_expect_eq(rig_present(rig, anna, rig->job, 0), TAILSLATE_VERDICT_COMMIT);
    cr_expect_eq(rig_present(rig, anna, rig->job, 0), TAILSLATE_VERDICT_REPLAY);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM completions WHERE token IS NULL"), 1);
    rig_free(rig);
}

struct copy {
    pthread_t thread;
    struct rig *rig;
    int token;
    enum tailslate_verdict verdict;
};

static void *present(void *ctx)
{
    struct copy *copy = ctx;
    copy->verdict = rig_present(copy->rig, rig_caller(&copy->rig->anna, 1), 1, copy->token);
    return NULL;
}

static void present_all(bool same_token)
{
    struct rig *rig = rig_new_claimed();
    struct copy copies[COPIES];
    for (int i = 0; i < COPIES; i++) {
        copies[i] = (struct copy){.rig = rig, .token = same_token ? 1 : i + 1};
        cr_assert_eq(pthread_create(&copies[i].thread, NULL, present, &copies[i]), 0);
    }
    int commits = 0;
    for (int i = 0; i < COPIES; i++) {
        pthread_join(copies[i].thread, NULL);
        commits += copies[i].verdict == TAILSLATE_VERDICT_COMMIT;
        cr_expect(copies[i].verdict == TAILSLATE_VERDICT_COMMIT ||
                  copies[i].verdict == TAILSLATE_VERDICT_REPLAY);
    }
    cr_expect_eq(commits, 1);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM completions"), 1);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM video_qualities"), 1);
    rig_free(rig);
}

Test(store_complete, sixty_four_copies_at_once_have_one_effect)
{
    present_all(true);
}

Test(store_complete, sixty_four_tokens_at_once_have_one_effect)
{
    present_all(false);
}

Test(store_complete, a_lower_epoch_is_superseded_and_a_higher_one_is_nobodys)
{
    struct rig *rig = rig_new_claimed();
    cr_assert_eq(rig_claim(rig, &rig->anna, rig->job).claim_epoch, 2);
    cr_expect_eq(rig_present(rig, rig_caller(&rig->anna, 1), rig->job, 1),
                 TAILSLATE_VERDICT_SUPERSEDED);
    cr_expect_eq(rig_present(rig, rig_caller(&rig->anna, 3), rig->job, 1),
                 TAILSLATE_VERDICT_NOT_YOURS);
    cr_expect_eq(rig_present(rig, rig_caller(&rig->anna, 2), rig->job, 1),
                 TAILSLATE_VERDICT_COMMIT);
    rig_free(rig);
}

Test(store_complete, what_was_released_is_late_and_what_was_handed_on_is_lost)
{
    struct rig *rig = rig_new();
    int64_t job = rig_add_job(rig, "film"), other = rig_add_job(rig, "other");
    struct store_caller anna = rig_caller(&rig->anna, 1);
    rig_claim(rig, &rig->anna, job);
    rig_claim(rig, &rig->anna, other);
    cr_assert_eq(rig_release(rig, job), STORE_RELEASED);
    cr_assert_eq(rig_release(rig, other), STORE_RELEASED);
    struct tailslate_completion completion = rig_completion(job, 1);
    struct tailslate_result late = rig_complete(rig, anna, job, &completion);
    cr_expect_eq(late.verdict, TAILSLATE_VERDICT_COMMIT_LATE);
    cr_expect(late.late);
    cr_expect(rig_complete(rig, anna, job, &completion).late);

    cr_assert_eq(rig_claim(rig, &rig->bert, other).claim_epoch, 2);
    cr_expect_eq(rig_present(rig, anna, other, 2), TAILSLATE_VERDICT_SUPERSEDED);
    cr_expect_eq(rig_present(rig, rig_caller(&rig->anna, TAILSLATE_ABSENT_INT), other, 2),
                 TAILSLATE_VERDICT_SUPERSEDED);
    rig_free(rig);
}

Test(store_complete, what_is_not_there_is_named_and_nothing_changes)
{
    struct rig *rig = rig_new_claimed();
    rig->missing = 1u << TAILSLATE_QUALITY_720P;
    struct tailslate_completion completion = rig_completion(rig->job, 1);
    struct tailslate_result result = rig_complete(rig, rig_caller(&rig->anna, 1), rig->job,
                                                  &completion);
    cr_expect_eq(result.verdict, TAILSLATE_VERDICT_FILES_MISSING);
    cr_expect_eq(result.missing, 1u << TAILSLATE_QUALITY_720P);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM completions"), 0);
    rig->missing = 0;
    cr_expect_eq(rig_present(rig, rig_caller(&rig->anna, 1), rig->job, 1),
                 TAILSLATE_VERDICT_COMMIT);
    rig_free(rig);
}

Test(store_complete, of_a_deleted_video_or_no_job_is_refused)
{
    struct rig *rig = rig_new_claimed();
    rig_sql(rig, "UPDATE videos SET deleted_at = '2026-01-01T00:00:00.000000+00:00'");
    cr_expect_eq(rig_present(rig, rig_caller(&rig->anna, 1), rig->job, 1), TAILSLATE_VERDICT_GONE);
    cr_expect_eq(rig_present(rig, rig_caller(&rig->anna, 1), 99, 1), TAILSLATE_VERDICT_NO_JOB);
    rig_free(rig);
}

/* A stock server creates rows with 0, 0, 0, hls_ts, h264. */
Test(store_complete, fills_what_is_null_or_zero_and_keeps_what_is_known)
{
    struct rig *rig = rig_new();
    int64_t job = rig_add_job(rig, "film"), second = rig_add_job(rig, "second");
    rig_sql(rig, "UPDATE videos SET duration = 0, source_width = 0, source_height = 0,"
                 " streaming_format = 'hls_ts', primary_codec = 'hevc' WHERE id = 1");
    rig_sql(rig, "UPDATE videos SET duration = 99.5, source_width = 7, streaming_format = 'hls_ts',"
                 " published_at = '2026-01-01T00:00:00.000000+00:00' WHERE id = 2");
    rig_claim(rig, &rig->anna, job);
    rig_claim(rig, &rig->anna, second);
    rig_present(rig, rig_caller(&rig->anna, 1), job, 1);
    rig_present(rig, rig_caller(&rig->anna, 1), second, 2);
    rig_expect(rig, "12.5/1920cmafh264",
               "SELECT duration || '/' || source_width || streaming_format ||"
               " primary_codec FROM videos WHERE id = 1");
    rig_expect(rig, "99.5/7/1080hls_tsh264",
               "SELECT duration || '/' || source_width || '/' || source_height ||"
               " streaming_format || primary_codec FROM videos WHERE id = 2");
    rig_free(rig);
}

static void reopen(struct rig *rig, const char *metadata)
{
    char sql[512];
    snprintf(sql, sizeof sql,
             "UPDATE transcoding_jobs SET completed_at = NULL, worker_id = NULL,"
             " retranscode_metadata = '%s'",
             metadata);
    rig_sql(rig, sql);
}

Test(store_complete, a_retranscode_replaces_and_an_old_completion_does_not_answer_for_it)
{
    struct rig *rig = rig_new_claimed();
    struct tailslate_completion new = rig_completion(rig->job, 2);
    rig_present(rig, rig_caller(&rig->anna, 1), rig->job, 1);
    reopen(rig, "{\"qualities_to_delete\":[\"720p\"],\"path\":\"/etc\"}");

    cr_expect_eq(rig_present(rig, rig_caller(&rig->anna, 1), rig->job, 1),
                 TAILSLATE_VERDICT_SUPERSEDED);
    rig->discards = 0;
    struct message_claim claim = rig_claim(rig, &rig->anna, 0);
    cr_assert_eq(claim.claim_epoch, 2);
    cr_expect_eq(claim.retranscodes, 1);
    cr_expect_eq(rig->discarded, 1u << TAILSLATE_QUALITY_720P);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM video_qualities"), 0);
    new.duration = 77.5;
    new.codec = TAILSLATE_CODEC_AV1;
    cr_expect_eq(rig_complete(rig, rig_caller(&rig->anna, 2), rig->job, &new).verdict,
                 TAILSLATE_VERDICT_COMMIT);
    rig_expect(rig, "77.5av1", "SELECT duration || primary_codec FROM videos");
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM completions"), 2);
    cr_expect_eq(rig_number(rig, "SELECT replaces FROM job_epochs"), 0);
    rig_free(rig);
}

/* Where a stock server hands out the claims the epoch stays: the new completion takes the row. */
Test(store_complete, a_new_completion_of_the_same_epoch_takes_the_old_ones_place)
{
    struct rig *rig = rig_new_claimed();
    struct store_caller anna = rig_caller(&rig->anna, TAILSLATE_ABSENT_INT);
    rig_present(rig, anna, rig->job, 1);
    rig_sql(rig, "UPDATE transcoding_jobs SET completed_at = NULL,"
                 " claimed_at = '2026-01-01T00:00:00.000000+00:00',"
                 " claim_expires_at = '2099-01-01T00:00:00.000000+00:00'");
    cr_expect_eq(rig_present(rig, anna, rig->job, 2), TAILSLATE_VERDICT_COMMIT);
    struct tailslate_completion new = rig_completion(rig->job, 2);
    rig_expect(rig, new.token, "SELECT token FROM completions");
    rig_free(rig);
}

Test(store_complete, no_qualities_are_fine_only_where_some_are_recorded)
{
    struct rig *rig = rig_new_claimed();
    struct tailslate_completion completion = rig_completion(rig->job, 1);
    completion.rendition_count = 0;
    cr_expect_eq(rig_complete(rig, rig_caller(&rig->anna, 1), rig->job, &completion).verdict,
                 TAILSLATE_VERDICT_NO_QUALITIES);
    rig_sql(rig, "INSERT INTO video_qualities (video_id, quality, width, height, bitrate)"
                 " VALUES (1, '480p', 854, 480, 1000)");
    cr_expect_eq(rig_complete(rig, rig_caller(&rig->anna, 1), rig->job, &completion).verdict,
                 TAILSLATE_VERDICT_COMMIT);
    rig_free(rig);
}
