/* Which directory is behind a path: away, back, another one. */
#include "files_site.h"
#include "verifier/files/files_check.h"
#include "verifier/files/files_watch.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdatomic.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A file system that is full, or read-only, without one. */
static atomic_bool is_full, is_read_only;

int fstatvfs(int fd, struct statvfs *space)
{
    (void)fd;
    *space = (struct statvfs){.f_bavail = atomic_load(&is_full) ? 1 : 1 << 20, .f_frsize = 4096};
    return 0;
}

int faccessat(int dir, const char *name, int mode, int flags)
{
    if (atomic_load(&is_read_only) && mode & W_OK) {
        errno = EROFS;
        return -1;
    }
    return (int)syscall(SYS_faccessat2, dir, name, mode, flags);
}

#define MARKER  "8160f552-95b1-4b9c-a7e2-35dcfba31e99"
#define ANOTHER "1e2d067c-4139-40f8-ace1-98a53d5beef1"

static struct site watched_make(void)
{
    struct site site = site_make();
    struct error err;
    for (enum files_root root = 0; root < FILES_ROOT_COUNT; root++) {
        cr_assert_eq(files_watch_write(&site.files, root, MARKER, &err), 0, "%s", err.message);
        files_watch_expect(&site.files, root, MARKER);
    }
    files_watch_require(&site.files);
    files_watch_check(&site.files);
    return site;
}

#define WATCHED(name) CLEANUP(site_remove) struct site name = watched_make()

static void move(const struct site *site, const char *from, const char *to)
{
    cr_assert_eq(renameat(site->scratch.fd, from, site->scratch.fd, to), 0, "%s", from);
}

static void expect_away(const struct site *site, enum files_root root, const char *words)
{
    struct error err = {0};
    char reason[FILES_REASON_BYTES];
    cr_expect_eq(files_use(&site->files, root, &err), -1);
    cr_expect_eq(err.code, FILES_AWAY);
    cr_expect_eq(err.class, ERROR_TEMPORARY);
    cr_expect(files_problem(&site->files, reason));
    cr_expect(strstr(reason, words), "%s", reason);
    cr_expect_str_eq(err.message, reason);
}

static void expect_usable(const struct site *site)
{
    struct error err = {0};
    char reason[FILES_REASON_BYTES];
    cr_expect_not(files_problem(&site->files, reason), "%s", reason);
    for (enum files_root root = 0; root < FILES_ROOT_COUNT; root++)
        cr_expect_geq(files_use(&site->files, root, &err), 0, "%s", err.message);
}

Test(files_watch, an_empty_directory_in_the_place_of_the_right_one_is_away_until_that_is_back)
{
    WATCHED(site);
    tailslate_quality_set missing;
    struct error err;
    expect_usable(&site);
    move(&site, "videos", "aside");
    cr_assert_eq(mkdirat(site.scratch.fd, "videos", 0755), 0);
    /* Nobody has checked yet: what would be told a worker is compared before it is. */
    cr_expect_eq(files_missing(&site.files, "film", 1u << TAILSLATE_QUALITY_720P, &missing, &err),
                 -1);
    cr_expect_eq(err.code, FILES_AWAY);
    expect_away(&site, FILES_VIDEOS, "its marker file is missing");
    cr_expect_eq(files_open_video(&site.files, "film", true, &err), -1);
    cr_assert_eq(unlinkat(site.scratch.fd, "videos", AT_REMOVEDIR), 0, "it was written into");
    files_watch_check(&site.files);
    expect_away(&site, FILES_VIDEOS, "cannot be opened");
    move(&site, "aside", "videos");
    files_watch_check(&site.files);
    expect_usable(&site);
}

Test(files_watch, a_source_that_is_not_in_a_directory_that_is_away_is_not_gone)
{
    WATCHED(site);
    struct error err;
    cr_expect_eq(files_open_source(&site.files, 7, &err), -1);
    cr_expect_eq(err.code, ENOENT, "%s", err.message);
    move(&site, "uploads", "aside");
    cr_expect_eq(files_open_source(&site.files, 7, &err), -1);
    cr_expect_eq(err.code, FILES_AWAY, "%s", err.message);
}

Test(files_watch, a_share_that_is_mounted_later_is_opened_under_the_same_descriptor)
{
    WATCHED(site);
    struct error err;
    int videos = site.files.videos;
    move(&site, "videos", "old");
    cr_assert_eq(mkdirat(site.scratch.fd, "videos", 0755), 0);
    scratch_put(&site.scratch, "videos/" FILES_MARKER, MARKER "\n", strlen(MARKER) + 1, 0600);
    scratch_put(&site.scratch, "videos/new", "x", 1, 0600);
    files_watch_check(&site.files);
    expect_usable(&site);
    cr_expect_eq(files_use(&site.files, FILES_VIDEOS, &err), videos);
    cr_expect(durable_exists(videos, "new"), "it is still the old directory");
}

Test(files_watch, a_directory_with_the_marker_of_another_server_is_away)
{
    WATCHED(site);
    scratch_put(&site.scratch, "uploads/" FILES_MARKER, ANOTHER "\n", strlen(ANOTHER) + 1, 0600);
    files_watch_check(&site.files);
    expect_away(&site, FILES_UPLOADS, "its marker file is another one");
    files_watch_expect(&site.files, FILES_UPLOADS, ANOTHER);
    files_watch_check(&site.files);
    expect_usable(&site);
}

Test(files_watch, a_marker_that_is_no_file_is_a_reason_and_not_followed)
{
    WATCHED(site);
    cr_assert_eq(unlinkat(site.scratch.fd, "uploads/" FILES_MARKER, 0), 0);
    cr_assert_eq(symlinkat("../videos/" FILES_MARKER, site.files.uploads, FILES_MARKER), 0);
    files_watch_check(&site.files);
    expect_away(&site, FILES_UPLOADS, "its marker file cannot be read");
}

Test(files_watch, a_full_or_read_only_videos_directory_stops_new_work_but_is_still_read)
{
    WATCHED(site);
    char reason[FILES_REASON_BYTES];
    struct error err;
    atomic_store(&is_full, true);
    files_watch_check(&site.files);
    cr_expect(files_problem(&site.files, reason));
    cr_expect(strstr(reason, "videos_dir") && strstr(reason, "has no space left"), "%s", reason);
    cr_expect_geq(files_use(&site.files, FILES_VIDEOS, &err), 0);
    atomic_store(&is_full, false);
    atomic_store(&is_read_only, true);
    files_watch_check(&site.files);
    cr_expect(files_problem(&site.files, reason));
    cr_expect(strstr(reason, "cannot be written to: Read-only file system"), "%s", reason);
    cr_expect_geq(files_use(&site.files, FILES_VIDEOS, &err), 0);
    atomic_store(&is_read_only, false);
    files_watch_check(&site.files);
    expect_usable(&site);
}
