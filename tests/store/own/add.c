/* Jobs that we add ourselves, which a stock server's tables do not take. */
#include "db.h"
#include "store_rig.h"

#include "tailslate/cleanup.h"

#include <criterion/criterion.h>
#include <errno.h>

static int refuse_place(void *ctx, int64_t video_id, struct error *err)
{
    (void)ctx, (void)video_id;
    return error_set(err, ERROR_TEMPORARY, ENOSPC, "the disk is full");
}

Test(store_job, whose_source_cannot_be_placed_does_not_exist)
{
    struct rig *rig = rig_new();
    struct error err;
    struct store_new_job job = {.base = "film", .place = refuse_place};
    cr_expect_eq(store_job_add(rig->store, &job, &err), -1);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM videos"), 0);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM transcoding_jobs"), 0);
    rig_free(rig);
}

Test(store_job, slugs_are_numbered_where_they_are_taken_and_refused_where_they_were_asked_for)
{
    struct rig *rig = rig_new();
    rig_add_job(rig, NULL);
    rig_add_job(rig, NULL);
    TEXT(first) = rig_text(rig, "SELECT MIN(slug) FROM videos");
    TEXT(second) = rig_text(rig, "SELECT MAX(slug) FROM videos");
    cr_expect_str_eq(first, "film");
    cr_expect_str_eq(second, "film-2");
    struct store_new_job job = {.slug = "film-2", .base = "film", .place = refuse_place};
    struct error err;
    cr_expect_eq(store_job_add(rig->store, &job, &err), -1);
    cr_expect_eq(err.code, DB_CONFLICT);
    rig_free(rig);
}
