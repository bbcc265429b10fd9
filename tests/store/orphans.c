/* The clean-up: what goes to the trash, what is deleted there, and what is never touched.
 *
 * Everything here works below the rig's own scratch directory, and nowhere else. */
#include "verifier/sweeper/orphans.h"

#include "lib/cleanup.h"
#include "site.h"
#include "verifier/files/files_trash.h"
#include "verifier/store/store_cleanup.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DAY_MS ((int64_t)24 * HOUR_MS)

static void note(void *ctx, const struct orphan *orphan)
{
    struct site *site = ctx;
    TEXT(before) = site->found;
    site->found = must_printf("%s%s %s\n", before, orphan_kind_name(orphan->kind), orphan->path);
}

/* A whole round; returns what it found. */
static const char *clean_up(struct site *site)
{
    struct orphans_settings settings = {.store = site->rig->store,
                                        .files = &site->files,
                                        .trash_ms = DAY_MS,
                                        .preview = site->preview,
                                        .found = note,
                                        .ctx = site,
                                        .ahead_ms = &site->rig->ahead_ms};
    struct orphans *orphans = orphans_new(&settings);
    struct error err;
    bool complete;
    free(site->found);
    site->found = must_strdup("");
    cr_assert_eq(orphans_work(orphans, MINUTE_MS, &complete, &err), 0, "%s", err.message);
    cr_assert(complete);
    orphans_free(orphans);
    return site->found;
}

/* A completed video with 720p on record. */
static void complete(struct site *site, const char *slug)
{
    struct rig *rig = site->rig;
    int64_t job = rig_add_job(rig, slug);
    rig_claim(rig, &rig->anna, job);
    rig_present(rig, rig_caller(&rig->anna, 1), job, 0);
}

static int entries_of_trash(const struct site *site, const char *trash)
{
    TEXT(path) = site_path(site, trash);
    DIRECTORY(dir) = opendir(path);
    int count = 0;
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    return count;
}

/* A video that was there before all else. */
static void know_a_video(struct site *site)
{
    rig_add_job(site->rig, "first");
    rig_sql(site->rig, "UPDATE videos SET created_at = '2020-01-01T00:00:00.000000+00:00'");
}

Test(orphans, of_a_completed_video_only_what_is_neither_recorded_nor_named_goes)
{
    struct site *site = site_new();
    complete(site, "film");
    site_put(site, "videos/film/master.m3u8"); /* names 720p */
    site_put(site, "videos/film/720p/stream.m3u8", "videos/film/720p/.tmp-0000000000000001",
             "videos/film/480p/stream.m3u8", "videos/film/360p_0001.ts",
             "videos/film/thumbnail.jpg", "videos/film/notes.txt");
    cr_expect_str_eq(clean_up(site), "", "it is all young");
    fleet_pass(site->rig, DAY_MS + MINUTE_MS);
    const char *found = clean_up(site);
    cr_expect(strstr(found, "rendition videos/film/480p\n"), "%s", found);
    cr_expect(strstr(found, "rendition videos/film/360p_0001.ts\n"), "%s", found);
    cr_expect(strstr(found, "temp videos/film/.tmp-0000000000000001\n"), "%s", found);
    site_lacks(site, "videos/film/480p", "videos/film/720p/.tmp-0000000000000001");
    site_keeps(site, "videos/film/720p/stream.m3u8", "videos/film/master.m3u8",
               "videos/film/thumbnail.jpg", "videos/film/notes.txt");
    cr_expect_eq(entries_of_trash(site, "videos/.trash"), 1);
    site_free(site);
}

Test(orphans, a_rendition_that_a_playlist_names_stays_although_no_row_records_it)
{
    struct site *site = site_new();
    complete(site, "film");
    site->rig->missing = 0;
    rig_sql(site->rig, "UPDATE video_qualities SET quality = '360p'");
    site_put(site, "videos/film/manifest.mpd"); /* names 720p */
    site_put(site, "videos/film/720p/stream.m3u8", "videos/film/480p/stream.m3u8");
    fleet_pass(site->rig, DAY_MS + MINUTE_MS);
    clean_up(site);
    site_keeps(site, "videos/film/720p/stream.m3u8");
    site_lacks(site, "videos/film/480p");
    site_free(site);
}

Test(orphans, a_video_whose_job_is_not_completed_is_never_touched)
{
    struct site *site = site_new();
    struct rig *rig = site->rig;
    static const char *const slugs[] = {"waiting", "claimed", "failed", "again", "deleted"};
    rig_add_job(rig, "waiting");
    rig_claim(rig, &rig->anna, rig_add_job(rig, "claimed"));
    int64_t failed = rig_add_job(rig, "failed");
    rig_claim(rig, &rig->anna, failed);
    rig_fail(rig, rig_caller(&rig->anna, 1), failed, false);
    complete(site, "again");
    rig_sql(rig, "UPDATE transcoding_jobs SET retranscode_metadata = '{}' WHERE video_id ="
                 " (SELECT id FROM videos WHERE slug = 'again')");
    complete(site, "deleted");
    rig_sql(rig, "UPDATE videos SET deleted_at = created_at WHERE slug = 'deleted'");
    for (size_t i = 0; i < sizeof slugs / sizeof slugs[0]; i++) {
        TEXT(playlist) = must_printf("videos/%s/480p/stream.m3u8", slugs[i]);
        TEXT(temp) = must_printf("videos/%s/.tmp-0000000000000001", slugs[i]);
        site_put(site, playlist, temp);
    }
    fleet_pass(rig, 30 * DAY_MS);
    cr_expect_str_eq(clean_up(site), "");
    site_free(site);
}

Test(orphans, a_folder_without_a_video_goes_only_if_it_is_of_our_making)
{
    struct site *site = site_new();
    know_a_video(site);
    site_put(site, "videos/gone/master.m3u8", "videos/gone/720p/seg_0001.m4s",
             "videos/assets/logo.png", "videos/mixed/720p/stream.m3u8",
             "videos/mixed/720p/readme.txt", "videos/.hidden/master.m3u8");
    site_make_dir(site, "videos/empty");
    fleet_pass(site->rig, DAY_MS + MINUTE_MS);
    cr_expect_str_eq(clean_up(site), "directory videos/gone\n");
    site_lacks(site, "videos/gone");
    site_keeps(site, "videos/assets/logo.png", "videos/mixed/720p/stream.m3u8",
               "videos/.hidden/master.m3u8", "videos/empty");
    site_free(site);
}

/* A new database on old directories, as when the kind of store is changed. */
Test(orphans, what_is_older_than_the_oldest_video_is_of_another_database)
{
    struct site *site = site_new();
    site_put(site, "videos/film/master.m3u8", "videos/film/720p/seg_0001.m4s");
    fleet_pass(site->rig, 2 * DAY_MS);
    cr_expect_str_eq(clean_up(site), "", "the database knows of no video");
    rig_add_job(site->rig, "another");
    cr_expect_str_eq(clean_up(site), "", "the first one was made two days later");
    rig_sql(site->rig, "UPDATE videos SET created_at = '2020-01-01T00:00:00.000000+00:00'");
    cr_expect_str_eq(clean_up(site), "directory videos/film\n");
    site_free(site);
}

Test(orphans, a_tree_is_as_young_as_the_newest_thing_in_it)
{
    struct site *site = site_new();
    know_a_video(site);
    site_put(site, "videos/gone/720p/seg_0001.m4s");
    fleet_pass(site->rig, DAY_MS + HOUR_MS);
    TEXT(deep) = site_path(site, "videos/gone/720p/seg_0001.m4s");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    now.tv_sec += 2 * HOUR_MS / SECOND_MS; /* as if it had been written 23 hours ago */
    cr_assert_eq(utimensat(AT_FDCWD, deep, (struct timespec[]){now, now}, 0), 0);
    cr_expect_str_eq(clean_up(site), "");
    fleet_pass(site->rig, 2 * HOUR_MS);
    cr_expect_str_eq(clean_up(site), "directory videos/gone\n");
    site_free(site);
}

Test(orphans, sources_stay_and_temp_files_beside_them_go)
{
    struct site *site = site_new();
    site_put(site, "uploads/.tmp-00000000000000aa", "uploads/77.mp4", "uploads/notes.txt",
             "videos/.staging/0b0e7a3c/720p/seg_0001.m4s");
    fleet_pass(site->rig, DAY_MS + MINUTE_MS);
    cr_expect_str_eq(clean_up(site), "temp uploads/.tmp-00000000000000aa\n"
                                     "staging videos/.staging/0b0e7a3c\n");
    site_keeps(site, "uploads/77.mp4", "uploads/notes.txt");
    site_lacks(site, "uploads/.tmp-00000000000000aa", "videos/.staging/0b0e7a3c");
    site_free(site);
}

Test(orphans, the_trash_keeps_for_its_time_and_no_longer)
{
    struct site *site = site_new();
    know_a_video(site);
    site_put(site, "videos/.trash/film.1/480p/stream.m3u8", "uploads/.trash/temp.1/.tmp-1");
    fleet_pass(site->rig, DAY_MS - HOUR_MS);
    cr_expect_str_eq(clean_up(site), "");
    /* Old inside, and only now moved here. */
    site_put(site, "videos/gone/master.m3u8", "videos/.trash/film.2/480p/stream.m3u8");
    fleet_pass(site->rig, 2 * HOUR_MS);
    const char *found = clean_up(site);
    cr_expect(strstr(found, "expired videos/.trash/film.1\n"), "%s", found);
    cr_expect(strstr(found, "expired uploads/.trash/temp.1\n"), "%s", found);
    cr_expect(strstr(found, "directory videos/gone\n"), "%s", found);
    site_lacks(site, "videos/.trash/film.1", "uploads/.trash/temp.1");
    site_free(site);
}

Test(orphans, no_link_leads_out_of_the_folders)
{
    struct site *site = site_new();
    know_a_video(site);
    complete(site, "film");
    site_put(site, "outside/480p/stream.m3u8", "outside/.tmp-0000000000000001",
             "videos/.trash/film.1/x.ts");
    TEXT(outside) = site_path(site, "outside");
    static const char *const links[] = {"videos/gone", "videos/film", "videos/.trash/link",
                                        "videos/.trash/film.1/link"};
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
        TEXT(link) = site_path(site, links[i]);
        cr_assert_eq(symlink(outside, link), 0);
    }
    TEXT(staging) = site_path(site, "videos/.staging");
    cr_assert_eq(symlink(outside, staging), 0);
    fleet_pass(site->rig, 2 * DAY_MS);
    clean_up(site);
    site_keeps(site, "outside/480p/stream.m3u8", "outside/.tmp-0000000000000001");
    site_keeps(site, "videos/gone", "videos/film"); /* a link is not a directory */
    site_lacks(site, "videos/.trash/link", "videos/.trash/film.1");
    site_free(site);
}

Test(orphans, a_preview_names_all_and_moves_nothing)
{
    struct site *site = site_new();
    know_a_video(site);
    site_put(site, "videos/gone/master.m3u8", "videos/.trash/film.1/x.ts",
             "uploads/.tmp-00000000000000aa");
    fleet_pass(site->rig, DAY_MS + MINUTE_MS);
    site->preview = true;
    cr_expect_str_eq(clean_up(site), "temp uploads/.tmp-00000000000000aa\n"
                                     "directory videos/gone\n"
                                     "expired videos/.trash/film.1\n");
    site_keeps(site, "videos/gone/master.m3u8", "videos/.trash/film.1/x.ts",
               "uploads/.tmp-00000000000000aa");
    site_lacks(site, "uploads/.trash");
    site_free(site);
}

struct reopening {
    struct site *site;
    int looks;
};

/* Re-opened between the look without a lock and the one with it. */
static int inspect_and_reopen(void *ctx, const struct store_video_dir *folder, struct error *err)
{
    struct reopening *reopening = ctx;
    (void)err;
    cr_expect_eq(folder->settled, reopening->looks == 0);
    if (reopening->looks++ == 0)
        rig_sql(reopening->site->rig,
                "UPDATE transcoding_jobs SET completed_at = NULL, claimed_at = NULL");
    return 0;
}

Test(orphans, what_was_reopened_after_the_look_is_seen_under_the_lock)
{
    struct site *site = site_new();
    struct reopening reopening = {.site = site};
    struct error err;
    complete(site, "film");
    for (int i = 0; i < 2; i++)
        cr_assert_eq(store_with_video_dir(site->rig->store, "film", i == 0, inspect_and_reopen,
                                          &reopening, &err),
                     0, "%s", err.message);
    cr_expect_eq(reopening.looks, 2);
    site_free(site);
}

Test(orphans, a_database_clock_that_runs_ahead_makes_nothing_old)
{
    struct site *site = site_new();
    know_a_video(site);
    site_put(site, "videos/gone/master.m3u8");
    fleet_pass(site->rig, 2 * DAY_MS);
    struct orphans_settings settings = {
        .store = site->rig->store, .files = &site->files, .trash_ms = DAY_MS};
    struct orphans *orphans = orphans_new(&settings);
    struct error err;
    bool complete;
    cr_assert_eq(orphans_work(orphans, MINUTE_MS, &complete, &err), 0, "%s", err.message);
    orphans_free(orphans);
    site_keeps(site, "videos/gone/master.m3u8");
    site_free(site);
}

/* The slugs of another directory would all be unknown. */
Test(orphans, in_a_directory_that_is_not_the_right_one_nothing_is_touched)
{
    struct site *site = site_new();
    struct error err;
    bool complete;
    site_put(site, "videos/unknown/720p/stream.m3u8");
    site->rig->ahead_ms = 30 * DAY_MS;
    files_watch_require(&site->files);
    files_watch_check(&site->files);
    struct orphans_settings settings = {.store = site->rig->store,
                                        .files = &site->files,
                                        .trash_ms = DAY_MS,
                                        .found = note,
                                        .ctx = site,
                                        .ahead_ms = &site->rig->ahead_ms};
    struct orphans *orphans = orphans_new(&settings);
    cr_expect_eq(orphans_work(orphans, MINUTE_MS, &complete, &err), -1);
    cr_expect_eq(err.code, FILES_AWAY, "%s", err.message);
    orphans_free(orphans);
    site_keeps(site, "videos/unknown/720p/stream.m3u8");
    site_free(site);
}
