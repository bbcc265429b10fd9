/* `job add` as an operator uses it: several files, a directory, links, a watched directory. */
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

TestSuite(add, .timeout = 120);

static char *put_clip(struct rig *rig, const char *name)
{
    char *path = rig_path(rig, "%s", name);
    RUN(copy) = run_program((const char *[]){"cp", media_clip(MEDIA_TINY), path, NULL}, NULL,
                            RIG_START_MS);
    cr_assert_eq(copy.status, 0, "%s", copy.err);
    return path;
}

static void make_directory(struct rig *rig, const char *name)
{
    TEXT(path) = rig_path(rig, "%s", name);
    cr_assert_eq(mkdir(path, 0755), 0);
}

static int lines_of(const char *text)
{
    int count = 0;
    for (; *text; text++)
        count += *text == '\n';
    return count;
}

static int count_temps(struct rig *rig)
{
    TEXT(path) = rig_path(rig, "uploads");
    DIRECTORY(dir) = opendir(path);
    cr_assert(dir);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(dir));)
        count += strncmp(entry->d_name, ".tmp-", 5) == 0;
    return count;
}

Test(add, of_several_files_those_that_are_refused_do_not_keep_the_others_out)
{
    struct rig *rig = rig_new();
    TEXT(one) = put_clip(rig, "one.mp4");
    TEXT(two) = put_clip(rig, "two.mkv");
    TEXT(text) = put_clip(rig, "notes.txt");
    TEXT(empty) = rig_path(rig, "empty.mp4");
    file_write(empty, "", 0600);
    make_directory(rig, "directory.mp4");
    TEXT(directory) = rig_path(rig, "directory.mp4");
    RUN(add) = rig_verifier(rig, (const char *[]){"job", "add", one, text, empty, directory,
                                                  "/nowhere/film.mp4", two, NULL});
    cr_expect_eq(add.status, 65, "%d", add.status);
    cr_expect_eq(lines_of(add.out), 2, "%s", add.out);
    static const char *const words[] = {"notes.txt: the file name must end in one of",
                                        "empty.mp4 is empty", "directory.mp4 is not a regular file",
                                        "/nowhere/film.mp4: No such file", "2 added, 4 refused"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        cr_expect(strstr(add.err, words[i]), "no '%s' in: %s", words[i], add.err);
    cr_expect_eq(inspect_int(rig, "SELECT COUNT(*) FROM transcoding_jobs"), 2);
    cr_expect_eq(count_temps(rig), 0);
    rig_end(rig);
}

Test(add, of_a_directory_every_video_becomes_a_job_and_nothing_else_does)
{
    struct rig *rig = rig_new();
    make_directory(rig, "in");
    make_directory(rig, "in/deeper");
    static const char *const names[] = {"in/b.mp4", "in/a.mp4", "in/readme.txt", "in/.hidden.mp4",
                                        "in/deeper/c.mp4"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        TEXT(path) = put_clip(rig, names[i]);
    }
    TEXT(in) = rig_path(rig, "in");
    RUN(add) = rig_verifier(rig, (const char *[]){"job", "add", in, NULL});
    cr_expect_eq(add.status, 0, "%d %s", add.status, add.err);
    char slugs[64];
    inspect_text(rig, slugs, sizeof slugs,
                 "SELECT group_concat(slug) FROM (SELECT slug FROM videos ORDER BY id)");
    cr_expect_str_eq(slugs, "a,b");
    TEXT(deeper) = rig_path(rig, "uploads");
    RUN(none) = rig_verifier(rig, (const char *[]){"job", "add", deeper, "--slug", "x", NULL});
    cr_expect_eq(none.status, 65, "%s", none.err);
    cr_expect(strstr(none.err, "only for a single file"), "%s", none.err);
    rig_end(rig);
}

Test(add, a_link_is_the_same_file_and_a_copy_is_not)
{
    struct rig *rig = rig_new();
    TEXT(film) = put_clip(rig, "film.mp4");
    RUN(linked) = rig_verifier(rig, (const char *[]){"job", "add", "--link", film, NULL});
    cr_expect_eq(linked.status, 0, "%d %s", linked.status, linked.err);
    RUN(copied) = rig_verifier(rig, (const char *[]){"job", "add", film, NULL});
    cr_expect_eq(copied.status, 0, "%d %s", copied.status, copied.err);
    struct stat original, first, second;
    TEXT(one) = rig_path(rig, "uploads/1.mp4");
    TEXT(two) = rig_path(rig, "uploads/2.mp4");
    cr_assert_eq(stat(film, &original), 0);
    cr_assert_eq(stat(one, &first), 0);
    cr_assert_eq(stat(two, &second), 0);
    cr_expect_eq(original.st_ino, first.st_ino);
    cr_expect_neq(original.st_ino, second.st_ino);
    cr_expect_eq(original.st_size, second.st_size);
    cr_expect_eq(second.st_mode & 0777, 0640);
    cr_expect_eq(count_temps(rig), 0);
    rig_end(rig);
}

Test(add, a_watch_folder_leaves_what_is_still_written_and_is_emptied_of_the_rest)
{
    struct rig *rig = rig_new();
    make_directory(rig, "in");
    TEXT(film) = put_clip(rig, "in/film.mp4");
    TEXT(in) = rig_path(rig, "in");
    RUN(early) = rig_verifier(
        rig, (const char *[]){"job", "add", "--settled", "3600", "--remove", in, NULL});
    cr_expect_eq(early.status, 0, "%d %s", early.status, early.err);
    cr_expect_str_eq(early.out, "");
    cr_expect_eq(access(film, F_OK), 0, "it was taken although it had just been written");
    /* An old time of modification alone is what a copy brings with it. */
    const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    cr_assert_eq(utimensat(AT_FDCWD, film, old, 0), 0);
    RUN(copied) = rig_verifier(
        rig, (const char *[]){"job", "add", "--settled", "3600", "--remove", in, NULL});
    cr_expect_str_eq(copied.out, "");
    RUN(late) = rig_verifier(rig, (const char *[]){"job", "add", "--remove", in, NULL});
    cr_expect_eq(late.status, 0, "%d %s", late.status, late.err);
    cr_expect_eq(lines_of(late.out), 1, "%s", late.out);
    cr_expect_neq(access(film, F_OK), 0, "it is still there");
    RUN(empty) = rig_verifier(
        rig, (const char *[]){"job", "add", "--settled", "30", "--remove", in, NULL});
    cr_expect_eq(empty.status, 0, "%d %s", empty.status, empty.err);
    rig_end(rig);
}
