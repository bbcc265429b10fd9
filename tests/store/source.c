/* A job whose source is not there: gone for good, away with its directory, or unreadable for now.
 */
#include "lib/cleanup.h"
#include "store_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

enum { MINUTE_MS = 60 * 1000 };

static int64_t video_of(struct rig *rig, int64_t job)
{
    TEXT(sql) = must_printf("SELECT video_id FROM transcoding_jobs WHERE id = %d", (int)job);
    return rig_number(rig, sql);
}

Test(store_source, that_is_gone_fails_its_job_once_for_good_and_others_go_on)
{
    struct rig *rig = rig_new();
    int64_t gone = rig_add_job(rig, "gone"), other = rig_add_job(rig, "other");
    rig->source_code = ENOENT;
    rig->source_of = video_of(rig, gone);
    cr_expect_eq(rig_claim(rig, &rig->anna, 0).job_id, other);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM videos WHERE status = 'failed'"), 1);
    TEXT(error) = rig_text(rig, "SELECT last_error FROM transcoding_jobs WHERE completed_at IS"
                                " NOT NULL");
    cr_expect(strstr(error, "is gone from uploads_dir"), "%s", error);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM transcoding_jobs WHERE attempt_number > 1"),
                 0);
    cr_expect_eq(rig_claim(rig, &rig->bert, 0).job_id, 0);
    rig_free(rig);
}

Test(store_source, whose_directory_is_away_costs_no_job_anything)
{
    struct rig *rig = rig_new();
    int64_t job = rig_add_job(rig, "film");
    rig->source_code = ESTALE;
    cr_expect_eq(rig_claim(rig, &rig->anna, 0).job_id, 0);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM job_queue"), 0);
    rig->source_code = 0;
    cr_expect_eq(rig_claim(rig, &rig->anna, 0).job_id, job);
    rig_free(rig);
}

Test(store_source, that_cannot_be_read_makes_its_job_wait_with_the_reason)
{
    struct rig *rig = rig_new();
    int64_t job = rig_add_job(rig, "unreadable"), other = rig_add_job(rig, "other");
    rig->source_code = EACCES;
    rig->source_of = video_of(rig, job);
    cr_expect_eq(rig_claim(rig, &rig->anna, 0).job_id, other);
    struct store_details details;
    struct error err;
    cr_assert_eq(store_job_details(rig->store, job, &details, &err), 0, "%s", err.message);
    cr_expect(strstr(details.job.waiting_reason, "its source cannot be read"), "%s",
              details.job.waiting_reason);
    cr_expect(details.job.waiting_since[0] && details.job.not_before[0]);
    rig->source_code = 0;
    cr_expect_eq(rig_claim(rig, &rig->anna, 0).job_id, 0, "it was to wait for a minute");
    rig->ahead_ms = MINUTE_MS + 1000;
    cr_expect_eq(rig_claim(rig, &rig->anna, 0).job_id, job);
    cr_assert_eq(store_job_details(rig->store, job, &details, &err), 0, "%s", err.message);
    cr_expect_str_eq(details.job.waiting_reason, "");
    rig_free(rig);
}

/* P5: the holder may have the finished work. */
Test(store_source, that_is_gone_does_not_end_a_job_whose_holder_may_still_finish_it)
{
    struct rig *rig = rig_new_claimed();
    enum store_release released;
    struct error err;
    cr_assert_eq(store_job_release(rig->store, rig->job, &released, &err), 0, "%s", err.message);
    rig->source_code = ENOENT;
    cr_expect_eq(rig_claim(rig, &rig->bert, 0).job_id, 0);
    cr_expect_eq(rig_present(rig, rig_caller(&rig->anna, 1), rig->job, 1),
                 TAILSLATE_VERDICT_COMMIT_LATE);
    rig_free(rig);
}

Test(store_source, that_is_gone_ends_a_job_whose_last_attempt_failed)
{
    struct rig *rig = rig_new_claimed();
    rig_fail(rig, rig_caller(&rig->anna, 1), rig->job, true);
    rig->source_code = ENOENT;
    cr_expect_eq(rig_claim(rig, &rig->bert, 0).job_id, 0);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM videos WHERE status = 'failed'"), 1);
    rig_free(rig);
}
