/* Jobs that we add ourselves, which a stock server's tables do not take. */
#include "lib/cleanup.h"
#include "store_rig.h"
#include "verifier/db/db.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

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

static int place_anywhere(void *ctx, int64_t video_id, struct error *err)
{
    (void)ctx, (void)video_id, (void)err;
    return 0;
}

Test(store_job, a_title_takes_the_first_number_that_is_free)
{
    struct rig *rig = rig_new();
    struct error err;
    for (int i = 0; i < 4; i++)
        rig_add_job(rig, NULL);
    rig_add_job(rig, "film-7");
    rig_sql(rig, "UPDATE videos SET slug = 'other' WHERE slug = 'film-3'");
    static const char *const expected[] = {"film-3", "film-5", "film-6", "film-8"};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        struct store_new_job job = {.title = "Film!", .base = "x", .place = place_anywhere};
        cr_assert_eq(store_job_add(rig->store, &job, &err), 0, "%s", err.message);
        cr_expect_str_eq(job.chosen_slug, expected[i]);
    }
    rig_free(rig);
}

struct race {
    struct rig *rig;
    pthread_t other;
};

static void *add_film(void *ctx)
{
    const struct race *race = ctx;
    struct error err;
    struct store_new_job job = {.base = "film", .place = place_anywhere};
    cr_expect_eq(store_job_add(race->rig->store, &job, &err), 0, "%s", err.message);
    cr_expect_str_eq(job.chosen_slug, "film-2");
    return NULL;
}

static int start_another(void *ctx, int64_t video_id, struct error *err)
{
    struct race *race = ctx;
    (void)video_id, (void)err;
    cr_assert_eq(pthread_create(&race->other, NULL, add_film, race), 0);
    rig_await_waiter(race->rig);
    return 0;
}

/* The other one looks before the first one's row can be seen, and inserts when it can. */
Test(store_job, a_number_that_is_taken_after_the_look_is_not_taken_twice)
{
    struct error err;
    struct race race = {.rig = rig_new()};
    struct store_new_job job = {.base = "film", .place = start_another, .ctx = &race};
    cr_assert_eq(store_job_add(race.rig->store, &job, &err), 0, "%s", err.message);
    cr_assert_eq(pthread_join(race.other, NULL), 0);
    cr_expect_str_eq(job.chosen_slug, "film");
    cr_expect_eq(rig_number(race.rig, "SELECT COUNT(*) FROM transcoding_jobs"), 2);
    rig_free(race.rig);
}

/* What a deleted video has left behind never becomes part of another one. */
Test(store_job, a_directory_that_is_there_already_is_not_taken)
{
    struct rig *rig = rig_new();
    struct error err;
    rig->directory = "film-2";
    rig_add_job(rig, NULL);
    struct store_new_job job = {.base = "film", .place = place_anywhere};
    cr_assert_eq(store_job_add(rig->store, &job, &err), 0, "%s", err.message);
    cr_expect_str_eq(job.chosen_slug, "film-3");
    struct store_new_job named = {.slug = "film-2", .base = "film", .place = place_anywhere};
    cr_expect_eq(store_job_add(rig->store, &named, &err), -1);
    cr_expect_eq(err.code, DB_CONFLICT);
    cr_expect(strstr(err.message, "directory film-2"), "%s", err.message);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM videos"), 2);
    rig_free(rig);
}

Test(store_job, is_added_with_its_priority)
{
    struct rig *rig = rig_new();
    struct error err;
    rig_add_job(rig, "first");
    struct store_new_job job = {.base = "film", .place = place_anywhere, .priority = 4};
    cr_assert_eq(store_job_add(rig->store, &job, &err), 0, "%s", err.message);
    cr_expect_eq(rig_claim(rig, &rig->anna, 0).job_id, job.job_id);
    rig_free(rig);
}
