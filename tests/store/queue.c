/* Which of the jobs that wait is the next one. */
#include "store_rig.h"
#include "verifier/store/store_operation.h"

#include <criterion/criterion.h>
#include <stdio.h>

static void rank(struct rig *rig, int64_t job, int64_t priority)
{
    struct store_operated result;
    struct error err;
    cr_assert_eq(store_job_set_priority(rig->store, job, priority, &result, &err), 0, "%s",
                 err.message);
    cr_assert_null(result.refused, "%s", result.refused);
}

static int64_t next_for(struct rig *rig, const struct store_worker *worker)
{
    return rig_claim(rig, worker, 0).job_id;
}

Test(queue, a_job_is_found_behind_any_number_of_jobs_that_must_wait)
{
    struct rig *rig = rig_new();
    for (int i = 0; i < 150; i++) {
        char slug[32];
        snprintf(slug, sizeof slug, "early-%d", i);
        rig_add_job(rig, slug);
    }
    rig_sql(rig, "INSERT INTO job_queue (job_id, priority, not_before)"
                 " SELECT id, CASE WHEN id > 75 THEN 5 ELSE 0 END, '2099-01-01T00:00:00Z'"
                 " FROM transcoding_jobs");
    int64_t usual = rig_add_job(rig, "usual"), ranked = rig_add_job(rig, "ranked");
    rank(rig, ranked, 1);
    cr_expect_eq(next_for(rig, &rig->anna), ranked);
    cr_expect_eq(next_for(rig, &rig->anna), usual);
    cr_expect_eq(next_for(rig, &rig->anna), 0);
    rig_free(rig);
}

Test(queue, what_a_worker_has_failed_is_the_last_of_its_priority)
{
    struct rig *rig = rig_new();
    int64_t failed = rig_add_job(rig, "failed"), other = rig_add_job(rig, "other"),
            usual = rig_add_job(rig, "usual");
    cr_assert_eq(next_for(rig, &rig->anna), failed);
    rig_fail(rig, rig_caller(&rig->anna, 1), failed, true);
    rank(rig, failed, 5);
    rank(rig, other, 5);
    cr_expect_eq(next_for(rig, &rig->anna), other);
    cr_expect_eq(next_for(rig, &rig->anna), failed);
    cr_expect_eq(next_for(rig, &rig->anna), usual);
    rig_free(rig);
}

Test(queue, a_re_transcode_goes_by_the_age_of_its_video)
{
    struct rig *rig = rig_new();
    int64_t old = rig_add_job(rig, "old"), middle = rig_add_job(rig, "middle");
    rig_claim(rig, &rig->anna, old);
    rig_present(rig, rig_caller(&rig->anna, 1), old, 1);
    rig_sql(rig, "UPDATE transcoding_jobs SET completed_at = NULL, claimed_at = NULL,"
                 " retranscode_metadata = '{\"retranscode_all\":true}' WHERE id = 1");
    cr_expect_eq(next_for(rig, &rig->anna), old);
    cr_expect_eq(next_for(rig, &rig->anna), middle);
    rig_free(rig);
}

Test(queue, a_priority_ends_with_the_work_that_it_was_for)
{
    struct rig *rig = rig_new();
    int64_t job = rig_add_job(rig, "film");
    rank(rig, job, 5);
    rig_claim(rig, &rig->anna, job);
    rig_present(rig, rig_caller(&rig->anna, 1), job, 1);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM job_queue WHERE priority <> 0"), 0);
    rig_free(rig);
}
