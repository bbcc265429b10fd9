/* Rows as a stock server leaves them, and what a completion that comes to us makes of them. What
 * the stock server does is in support/vlog_tables.sql. */
#include "lib/cleanup.h"
#include "store_rig.h"

#include <criterion/criterion.h>

/* stock_expire(job), stock_release(job)… */
static void stock_does(struct rig *rig, const char *what, int64_t job)
{
    TEXT(sql) = must_printf("SELECT stock_%s(%lld)", what, (long long)job);
    rig_sql(rig, sql);
}

static void stock_gives(struct rig *rig, int64_t job, const struct store_worker *worker)
{
    TEXT(sql) = must_printf("SELECT stock_claim(%lld, '%s')", (long long)job, worker->worker_id);
    rig_sql(rig, sql);
}

static void stock_fails(struct rig *rig, int64_t job, bool retry)
{
    TEXT(sql) = must_printf("SELECT stock_fail(%lld, %s)", (long long)job,
                            retry ? "true" : "false");
    rig_sql(rig, sql);
}

static void stock_forgets(struct rig *rig, const struct store_worker *worker)
{
    TEXT(sql) = must_printf("SELECT stock_forget_worker('%s')", worker->worker_id);
    rig_sql(rig, sql);
}

/* One video, given to anna. */
static struct rig *given(void)
{
    struct rig *rig = rig_new();
    rig->job = rig_add_job(rig, "film");
    stock_gives(rig, rig->job, &rig->anna);
    return rig;
}

static enum tailslate_verdict by_anna(struct rig *rig, int token)
{
    return rig_present(rig, rig_caller(&rig->anna, TAILSLATE_ABSENT_INT), rig->job, token);
}

static enum tailslate_verdict by_bert(struct rig *rig, int token)
{
    return rig_present(rig, rig_caller(&rig->bert, TAILSLATE_ABSENT_INT), rig->job, token);
}

Test(beside_stock, a_claim_of_the_stock_servers_is_completed_as_it_would_have_been)
{
    struct rig *rig = given();
    cr_assert_eq(by_anna(rig, 1), TAILSLATE_VERDICT_COMMIT);
    cr_expect_eq(by_anna(rig, 1), TAILSLATE_VERDICT_REPLAY);
    rig_expect(rig, "ready12.5/1920/1080cmafh264true",
               "SELECT status || duration || '/' || source_width || '/' || source_height ||"
               " streaming_format || primary_codec || (published_at IS NOT NULL) FROM videos");
    rig_expect(rig, "100finalizetruetruetruetrue1",
               "SELECT progress_percent || current_step || (claimed_at IS NULL) ||"
               " (claim_expires_at IS NULL) || (completed_at IS NOT NULL) ||"
               " (retranscode_metadata IS NULL) || attempt_number FROM transcoding_jobs");
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM transcoding_jobs j JOIN workers w"
                                 " ON w.worker_id = j.worker_id AND w.worker_name = 'anna'"
                                 " AND j.processed_by_worker_id = w.worker_id"
                                 " AND w.current_job_id IS NULL"),
                 1);
    rig_expect(rig, "720p1280x720:2500h264ts",
               "SELECT string_agg(quality || width || 'x' || height || ':' || bitrate || codec"
               " || segment_format, ',') FROM video_qualities");
    rig_expect(rig, "0", "SELECT string_agg(claim_epoch::text, ',') FROM completions");
    rig_free(rig);
}

Test(beside_stock, a_worker_that_sends_no_token_is_taken_once)
{
    struct rig *rig = given();
    cr_expect_eq(by_anna(rig, 0), TAILSLATE_VERDICT_COMMIT);
    cr_expect_eq(by_anna(rig, 0), TAILSLATE_VERDICT_REPLAY);
    cr_expect_eq(by_bert(rig, 0), TAILSLATE_VERDICT_SUPERSEDED);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM completions WHERE token IS NULL"), 1);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM video_qualities"), 1);
    rig_free(rig);
}

Test(beside_stock, expired_and_released_is_late_and_not_lost)
{
    struct rig *rig = given();
    stock_does(rig, "expire", rig->job);
    stock_does(rig, "release", rig->job);
    struct tailslate_completion completion = rig_completion(rig->job, 1);
    struct tailslate_result result = rig_complete(rig, rig_caller(&rig->anna, TAILSLATE_ABSENT_INT),
                                                  rig->job, &completion);
    cr_expect_eq(result.verdict, TAILSLATE_VERDICT_COMMIT_LATE);
    cr_expect(result.late);
    rig_expect(rig, "ready", "SELECT status FROM videos");
    rig_free(rig);
}

Test(beside_stock, whoever_was_given_the_job_since_is_the_one_who_completes_it)
{
    struct rig *rig = given();
    stock_does(rig, "expire", rig->job);
    stock_gives(rig, rig->job, &rig->bert);
    cr_expect_eq(by_anna(rig, 1), TAILSLATE_VERDICT_SUPERSEDED);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM workers WHERE worker_name = 'bert'"
                                 " AND current_job_id IS NOT NULL"),
                 1, "the new holder notices nothing");
    cr_expect_eq(by_bert(rig, 2), TAILSLATE_VERDICT_COMMIT);
    cr_expect_eq(by_anna(rig, 1), TAILSLATE_VERDICT_SUPERSEDED);
    /* anna's name still points to it, as the stock server left it; that is hers to clear. */
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM workers WHERE worker_name = 'anna'"
                                 " AND current_job_id IS NOT NULL"),
                 1);
    rig_free(rig);
}

/* A stock server keeps the name of its last claim alone: of who was there before, a lost claim is
 * presumed; who came later has lost none. */
Test(beside_stock, a_worker_registered_since_the_claim_has_never_held_the_job)
{
    struct rig *rig = given();
    struct store_worker carl = rig_add_worker(rig, "carl");
    cr_expect_eq(by_bert(rig, 1), TAILSLATE_VERDICT_SUPERSEDED);
    cr_expect_eq(rig_present(rig, rig_caller(&carl, TAILSLATE_ABSENT_INT), rig->job, 2),
                 TAILSLATE_VERDICT_NOT_YOURS);
    stock_does(rig, "expire", rig->job);
    stock_gives(rig, rig->job, &carl);
    cr_expect_eq(by_anna(rig, 3), TAILSLATE_VERDICT_SUPERSEDED);
    rig_free(rig);
}

Test(beside_stock, a_job_that_came_back_to_the_same_worker_is_done_by_either_claim)
{
    struct rig *rig = given();
    stock_does(rig, "expire", rig->job);
    stock_gives(rig, rig->job, &rig->anna);
    cr_expect_eq(by_anna(rig, 2), TAILSLATE_VERDICT_COMMIT);
    cr_expect_eq(by_anna(rig, 1), TAILSLATE_VERDICT_REPLAY);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM completions"), 1);
    rig_free(rig);
}

Test(beside_stock, an_order_to_transcode_again_ends_what_the_last_claim_may)
{
    struct rig *rig = given();
    cr_assert_eq(by_anna(rig, 1), TAILSLATE_VERDICT_COMMIT);
    stock_does(rig, "retranscode", rig->job);
    /* The answer was lost, or a stock worker tries with a token of its own, or with none. */
    cr_expect_eq(by_anna(rig, 1), TAILSLATE_VERDICT_SUPERSEDED);
    cr_expect_eq(by_anna(rig, 2), TAILSLATE_VERDICT_SUPERSEDED);
    cr_expect_eq(by_anna(rig, 0), TAILSLATE_VERDICT_SUPERSEDED);
    cr_expect_eq(rig_progress(rig, rig_caller(&rig->anna, TAILSLATE_ABSENT_INT), rig->job),
                 TAILSLATE_STANDING_SUPERSEDED);
    cr_expect_eq(
        rig_fail(rig, rig_caller(&rig->anna, TAILSLATE_ABSENT_INT), rig->job, true).standing,
        TAILSLATE_STANDING_SUPERSEDED);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM transcoding_jobs"
                                 " WHERE completed_at IS NULL AND retranscode_metadata IS NOT NULL"
                                 " AND attempt_number = 2"),
                 1);
    rig_free(rig);
}

Test(beside_stock, the_second_transcode_replaces_the_completion_of_the_first)
{
    struct rig *rig = given();
    cr_assert_eq(by_anna(rig, 1), TAILSLATE_VERDICT_COMMIT);
    TEXT(published) = rig_text(rig, "SELECT published_at FROM videos");
    stock_does(rig, "retranscode", rig->job);
    stock_gives(rig, rig->job, &rig->bert);
    cr_expect_eq(by_anna(rig, 1), TAILSLATE_VERDICT_SUPERSEDED);
    struct tailslate_completion second = rig_completion(rig->job, 3);
    second.format = TAILSLATE_FORMAT_HLS_TS;
    second.codec = TAILSLATE_CODEC_HEVC;
    second.duration = 13;
    struct tailslate_result result = rig_complete(rig, rig_caller(&rig->bert, TAILSLATE_ABSENT_INT),
                                                  rig->job, &second);
    cr_expect_eq(result.verdict, TAILSLATE_VERDICT_COMMIT);
    cr_expect_eq(
        rig_complete(rig, rig_caller(&rig->bert, TAILSLATE_ABSENT_INT), rig->job, &second).verdict,
        TAILSLATE_VERDICT_REPLAY);
    cr_expect_eq(by_anna(rig, 1), TAILSLATE_VERDICT_SUPERSEDED);
    rig_expect(rig, "03bert",
               "SELECT string_agg(c.claim_epoch || right(c.token, 1) || w.worker_name, ',')"
               " FROM completions c JOIN workers w ON w.worker_id = c.worker_id");
    /* What describes the files is what this transcode has made. */
    rig_expect(rig, "ready13hls_tshevc",
               "SELECT status || duration || streaming_format || primary_codec FROM videos");
    rig_expect(rig, published, "SELECT published_at FROM videos");
    rig_expect(rig, "720p", "SELECT string_agg(quality, ',') FROM video_qualities");
    rig_free(rig);
}

Test(beside_stock, the_same_worker_transcodes_again_and_its_first_token_is_nothing)
{
    struct rig *rig = given();
    cr_assert_eq(by_anna(rig, 1), TAILSLATE_VERDICT_COMMIT);
    stock_does(rig, "retranscode", rig->job);
    stock_gives(rig, rig->job, &rig->anna);
    cr_expect_eq(by_anna(rig, 1), TAILSLATE_VERDICT_SUPERSEDED);
    cr_expect_eq(by_anna(rig, 2), TAILSLATE_VERDICT_COMMIT);
    cr_expect_eq(by_anna(rig, 2), TAILSLATE_VERDICT_REPLAY);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM completions"), 1);
    rig_free(rig);
}

Test(beside_stock, a_final_failure_is_final_and_one_that_is_tried_again_is_not)
{
    struct rig *rig = given();
    stock_fails(rig, rig->job, true);
    stock_gives(rig, rig->job, &rig->anna);
    stock_fails(rig, rig->job, false);
    cr_expect_eq(by_anna(rig, 1), TAILSLATE_VERDICT_GONE);
    rig_expect(rig, "failed", "SELECT status FROM videos");
    /* Failed on the way, but nobody else has it: finished work is never refused for that. */
    int64_t other = rig_add_job(rig, "other");
    stock_gives(rig, other, &rig->anna);
    stock_fails(rig, other, true);
    cr_expect_eq(rig_present(rig, rig_caller(&rig->anna, TAILSLATE_ABSENT_INT), other, 1),
                 TAILSLATE_VERDICT_COMMIT_LATE);
    rig_free(rig);
}

Test(beside_stock, a_deleted_video_is_gone)
{
    struct rig *rig = given();
    rig_sql(rig, "UPDATE videos SET deleted_at = clock_timestamp()");
    cr_expect_eq(by_anna(rig, 1), TAILSLATE_VERDICT_GONE);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM transcoding_jobs"
                                 " WHERE completed_at IS NULL"),
                 1);
    rig_free(rig);
}

Test(beside_stock, what_is_recorded_already_even_twice_is_not_recorded_again)
{
    struct rig *rig = given();
    for (int i = 0; i < 2; i++)
        rig_sql(rig, "INSERT INTO video_qualities (video_id, quality, width, height, bitrate)"
                     " SELECT id, '720p', 1, 1, 1 FROM videos");
    struct tailslate_completion completion = rig_completion(rig->job, 1);
    completion.renditions[1] = completion.renditions[0];
    completion.renditions[1].quality = TAILSLATE_QUALITY_360P;
    completion.rendition_count = 2;
    cr_expect_eq(
        rig_complete(rig, rig_caller(&rig->anna, TAILSLATE_ABSENT_INT), rig->job, &completion)
            .verdict,
        TAILSLATE_VERDICT_COMMIT);
    rig_expect(
        rig, "360p1280,720p1,720p1",
        "SELECT string_agg(quality || width, ',' ORDER BY quality, id) FROM video_qualities");
    rig_free(rig);
}

Test(beside_stock, the_stock_servers_own_transcoder_is_another_holder)
{
    struct rig *rig = given();
    stock_does(rig, "expire", rig->job);
    stock_does(rig, "local_claim", rig->job);
    cr_expect_eq(by_anna(rig, 1), TAILSLATE_VERDICT_SUPERSEDED);

    int64_t taken = rig_add_job(rig, "taken");
    stock_gives(rig, taken, &rig->anna);
    stock_does(rig, "local_takes_over", taken);
    cr_expect_eq(rig_present(rig, rig_caller(&rig->anna, TAILSLATE_ABSENT_INT), taken, 1),
                 TAILSLATE_VERDICT_SUPERSEDED);
    rig_sql(rig, "UPDATE transcoding_jobs SET claimed_at = NULL");
    cr_expect_eq(rig_present(rig, rig_caller(&rig->anna, TAILSLATE_ABSENT_INT), taken, 1),
                 TAILSLATE_VERDICT_SUPERSEDED, "its name is enough");
    rig_sql(rig, "UPDATE transcoding_jobs SET claimed_at = clock_timestamp()");
    stock_does(rig, "local_gives_back", taken);
    cr_expect_eq(rig_present(rig, rig_caller(&rig->anna, TAILSLATE_ABSENT_INT), taken, 1),
                 TAILSLATE_VERDICT_SUPERSEDED);
    rig_free(rig);
}

Test(beside_stock, a_claim_that_names_nobody_any_more_is_its_last_holders)
{
    struct rig *rig = given();
    stock_forgets(rig, &rig->anna);
    cr_expect_eq(by_bert(rig, 2), TAILSLATE_VERDICT_SUPERSEDED);
    cr_expect_eq(rig_progress(rig, rig_caller(&rig->anna, TAILSLATE_ABSENT_INT), rig->job),
                 TAILSLATE_STANDING_LATE);
    stock_forgets(rig, &rig->anna);
    cr_expect_eq(by_anna(rig, 1), TAILSLATE_VERDICT_COMMIT_LATE);
    rig_free(rig);
}

Test(beside_stock, a_row_from_before_last_holders_were_written_down_is_its_workers)
{
    struct rig *rig = given();
    rig_sql(rig, "UPDATE transcoding_jobs SET processed_by_worker_id = NULL, attempt_number = NULL,"
                 " max_attempts = NULL, progress_percent = NULL");
    cr_expect_eq(by_bert(rig, 2), TAILSLATE_VERDICT_SUPERSEDED);
    cr_expect_eq(by_anna(rig, 1), TAILSLATE_VERDICT_COMMIT);
    rig_free(rig);
}

Test(beside_stock, numbers_beyond_a_stock_servers_are_jobs_that_are_not_there)
{
    struct rig *rig = rig_new();
    static const int64_t numbers[] = {2, INT64_C(2147483648), INT64_C(999999999999999999)};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct store_caller caller = rig_caller(&rig->anna, TAILSLATE_ABSENT_INT);
        int64_t job = -1;
        struct error err;
        cr_expect_eq(rig_present(rig, rig_caller(&rig->anna, TAILSLATE_ABSENT_INT), numbers[i], 1),
                     TAILSLATE_VERDICT_NO_JOB);
        cr_expect_eq(rig_progress(rig, caller, numbers[i]), TAILSLATE_STANDING_NO_JOB);
        cr_expect_eq(rig_fail(rig, caller, numbers[i], true).standing, TAILSLATE_STANDING_NO_JOB);
        cr_expect_eq(rig_claim(rig, &rig->anna, numbers[i]).job_id, 0);
        cr_expect_eq(store_job_of_video(rig->store, numbers[i], &job, &err), 0);
        cr_expect_eq(job, 0);
    }
    rig_free(rig);
}

Test(beside_stock, what_the_stock_server_deletes_takes_ours_with_it)
{
    struct rig *rig = given();
    cr_assert_eq(by_anna(rig, 1), TAILSLATE_VERDICT_COMMIT);
    cr_assert_eq(rig_number(rig, "SELECT COUNT(*) FROM completions"), 1);
    rig_sql(rig, "DELETE FROM transcoding_jobs");
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM completions"), 0);
    cr_expect_eq(by_anna(rig, 1), TAILSLATE_VERDICT_NO_JOB);
    rig_free(rig);
}
