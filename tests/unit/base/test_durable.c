#include "disk_watch.h"
#include "lib/durable.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* The test stands between durable and the kernel: it sees the order, and may say no. These two
 * replace libc's in the whole executable and are transparent until a test asks. */
static char order[64];     /* F: fsync of a file, D: of a directory, R: rename */
static int failing_at = 0; /* that many-th call fails with EIO; 0: none */
static int killing_at = 0; /* that many-th call is not made: the process dies */

static int is_refused(char call)
{
    size_t calls = strlen(order);
    if (calls < sizeof order - 1)
        order[calls] = call;
    if ((int)calls + 1 == killing_at)
        raise(SIGKILL);
    if (failing_at == 0 || (int)calls + 1 != failing_at)
        return 0;
    errno = EIO;
    return 1;
}

int fsync(int fd)
{
    struct stat status;
    char call = fstat(fd, &status) == 0 && S_ISDIR(status.st_mode) ? 'D' : 'F';
    return is_refused(call) ? -1 : (int)syscall(SYS_fsync, fd);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    return is_refused('R') ? -1 : (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, 0);
}

void disk_watch(int fail_at, int kill_at)
{
    memset(order, 0, sizeof order);
    failing_at = fail_at;
    killing_at = kill_at;
}

static void watch(int fail_at)
{
    disk_watch(fail_at, 0);
}

Test(durable, a_write_is_on_the_disk_before_its_name_is)
{
    SCRATCH(scratch);
    struct error err;
    watch(0);
    cr_assert_eq(durable_write(scratch.fd, "claim.json", "{}", 2, &err), 0);
    cr_expect_str_eq(order, "FRD");
    cr_expect_str_eq(scratch_get(&scratch, "claim.json"), "{}");
    cr_expect_eq(scratch_count(&scratch), 1, "no temp file is left");
}

Test(durable, what_is_written_is_ours_alone)
{
    SCRATCH(scratch);
    struct error err;
    struct stat status;
    umask(0);
    durable_write(scratch.fd, "claim.json", "{}", 2, &err);
    cr_assert_eq(fstatat(scratch.fd, "claim.json", &status, 0), 0);
    cr_expect_eq(status.st_mode & 07777, 0600);
    cr_assert_eq(durable_mkdir(scratch.fd, "7.1", 0700, &err), 0);
    cr_assert_eq(fstatat(scratch.fd, "7.1", &status, 0), 0);
    cr_expect_eq(status.st_mode & 07777, 0700);
}

/* Up to the rename the old content stands, and nothing is tried twice. */
Test(durable, a_failing_fsync_or_rename_leaves_the_old_content)
{
    SCRATCH(scratch);
    struct error err;
    scratch_put_text(&scratch, "claim.json", "old");
    for (int call = 1; call <= 2; call++) {
        watch(call);
        cr_assert_eq(durable_write(scratch.fd, "claim.json", "new", 3, &err), -1);
        cr_expect_eq(err.code, EIO);
        cr_expect_eq(err.class, ERROR_TEMPORARY);
        cr_expect_eq((int)strlen(order), call, "went on after a failure: %s", order);
        cr_expect_str_eq(scratch_get(&scratch, "claim.json"), "old");
        cr_expect_eq(scratch_count(&scratch), 1, "no temp file is left");
    }
}

Test(durable, a_failing_fsync_of_the_directory_is_no_success_though_the_name_stands)
{
    SCRATCH(scratch);
    struct error err;
    watch(3);
    cr_assert_eq(durable_write(scratch.fd, "claim.json", "new", 3, &err), -1);
    cr_expect_str_eq(order, "FRD");
    cr_expect(strstr(err.message, "claim.json"), "%s", err.message);
    cr_expect_str_eq(scratch_get(&scratch, "claim.json"), "new");
    watch(2);
    cr_assert_eq(durable_rename(scratch.fd, "claim.json", scratch.fd, "other", &err), -1);
    cr_expect_str_eq(order, "RD");
    cr_expect_str_eq(scratch_get(&scratch, "other"), "new");
    watch(1);
    cr_assert_eq(durable_unlink(scratch.fd, "other", &err), -1);
    cr_expect_str_eq(order, "D");
    cr_expect_eq(scratch_count(&scratch), 0, "it is gone all the same");
}

/* The orders of fault.h, for the tests of whole programs. */
Test(durable, an_error_that_is_ordered_happens_once_and_in_its_step)
{
    static const struct {
        const char *order;
        int code;
        const char *left;
    } orders[] = {{"fsync:new", EIO, "old"},
                  {"full:new", ENOSPC, "old"},
                  {"rename:new", EIO, "old"},
                  {"dirsync:new", EIO, "fresh"}};
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        SCRATCH(scratch);
        struct error err;
        TEXT(variable) = must_printf("rename:other:/nowhere,%s:%s/flag", orders[i].order,
                                     scratch.path);
        setenv("TAILSLATE_FAULT", variable, 1);
        scratch_put_text(&scratch, "new", "old");
        cr_expect_eq(durable_write(scratch.fd, "new", "old", 3, &err), 0, "without its flag");
        scratch_put_text(&scratch, "flag", "");
        cr_expect_eq(durable_write(scratch.fd, "ne", "other", 5, &err), 0, "of another name");
        cr_assert_eq(durable_write(scratch.fd, "new", "fresh", 5, &err), -1, "%s", orders[i].order);
        cr_expect_eq(err.code, orders[i].code);
        cr_expect_str_eq(scratch_get(&scratch, "new"), orders[i].left, "%s", orders[i].order);
        cr_expect_not(durable_exists(scratch.fd, "flag"));
        cr_expect_eq(durable_write(scratch.fd, "new", "fresh", 5, &err), 0, "once");
        unsetenv("TAILSLATE_FAULT");
    }
}

Test(durable, a_volatile_write_waits_for_no_disk)
{
    SCRATCH(scratch);
    struct error err;
    watch(0);
    cr_assert_eq(durable_write_volatile(scratch.fd, "progress.json", "12", 2, &err), 0);
    cr_expect_str_eq(order, "R");
    cr_expect_str_eq(scratch_get(&scratch, "progress.json"), "12");
}

Test(durable, publishing_syncs_the_file_then_renames_then_syncs_the_directory)
{
    SCRATCH(scratch);
    struct error err;
    char temp[DURABLE_TEMP_BYTES];
    FD(fd) = durable_temp(scratch.fd, temp, &err);
    cr_assert_geq(fd, 0);
    cr_expect_eq(strncmp(temp, DURABLE_TEMP_PREFIX, strlen(DURABLE_TEMP_PREFIX)), 0);
    cr_assert_eq(durable_append(fd, "seg", 3, &err), 0);
    cr_assert_eq(durable_append(fd, "ment", 4, &err), 0);
    watch(0);
    cr_assert_eq(durable_publish(scratch.fd, fd, temp, "seg_0001.m4s", &err), 0);
    cr_expect_str_eq(order, "FRD");
    cr_expect_str_eq(scratch_get(&scratch, "seg_0001.m4s"), "segment");
    cr_expect_eq(fcntl(fd, F_GETFD), FD_CLOEXEC, "it stays open, and no child gets it");
}

Test(durable, a_publication_that_fails_leaves_neither_name_nor_temp)
{
    for (int call = 1; call <= 2; call++) {
        SCRATCH(scratch);
        struct error err;
        char temp[DURABLE_TEMP_BYTES];
        FD(fd) = durable_temp(scratch.fd, temp, &err);
        watch(call);
        cr_assert_eq(durable_publish(scratch.fd, fd, temp, "film", &err), -1);
        cr_expect_eq(scratch_count(&scratch), 0);
    }
}

/* A file system of 64 KiB; where mounting is not allowed, a file may not grow over 64 KiB. Both
 * end with this test's process. */
static void make_disk_small(const char *path)
{
    if (unshare(CLONE_NEWNS) == 0 && mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("tmpfs", path, "tmpfs", 0, "size=64k") == 0)
        return;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGXFSZ, &ignore, NULL);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){65536, 65536}), 0);
}

static void expect_old_content_stands(int dir)
{
    enum { FILM_BYTES = 1 << 20 };
    struct error err = {0};
    TEXT(video) = must_calloc(1, FILM_BYTES);
    TEXT(found) = NULL;
    size_t size = 0;
    cr_assert_eq(durable_write(dir, "claim.json", "old", 3, &err), 0, "%s", err.message);
    cr_assert_eq(durable_write(dir, "claim.json", video, FILM_BYTES, &err), -1);
    cr_expect(err.code == ENOSPC || err.code == EFBIG, "%s", err.message);
    cr_expect(strstr(err.message, "claim.json"), "%s", err.message);
    cr_assert_eq(durable_read(dir, "claim.json", 100, &found, &size, &err), 0, "%s", err.message);
    cr_expect_str_eq(found, "old");
    cr_expect_eq(durable_write(dir, "claim.json", "newer", 5, &err), 0, "there is space again: %s",
                 err.message);
}

Test(durable, a_full_disk_leaves_the_old_content)
{
    SCRATCH(scratch);
    struct error err;
    cr_assert_eq(mkdirat(scratch.fd, "small", 0700), 0);
    TEXT(path) = must_printf("%s/small", scratch.path);
    make_disk_small(path);
    FD(small) = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    expect_old_content_stands(small);
    struct scratch full = {.fd = small};
    cr_expect_eq(scratch_count(&full), 1, "no temp file is left");
    umount2(path, MNT_DETACH); /* it may be none */
    cr_expect_eq(durable_remove_tree(scratch.fd, "small", &err), 0);
}

Test(durable, a_file_size_limit_leaves_the_old_content)
{
    SCRATCH(scratch);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGXFSZ, &ignore, NULL);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){65536, 65536}), 0);
    expect_old_content_stands(scratch.fd);
    cr_expect_eq(scratch_count(&scratch), 1, "no temp file is left");
}

Test(durable, a_link_in_the_place_of_a_file_is_replaced_and_not_followed)
{
    SCRATCH(scratch);
    struct error err;
    scratch_put_text(&scratch, "victim", "precious");
    cr_assert_eq(symlinkat("victim", scratch.fd, "claim.json"), 0);
    cr_assert_eq(durable_write(scratch.fd, "claim.json", "{}", 2, &err), 0);
    cr_expect_str_eq(scratch_get(&scratch, "victim"), "precious");
    cr_expect_str_eq(scratch_get(&scratch, "claim.json"), "{}");
}

/* Run by root against a broken check these calls would do what they are asked to: every name leads
 * to something inside the scratch, never to the machine's own files. */
Test(durable, a_name_that_leads_elsewhere_is_a_bug_and_nothing_is_done)
{
    SCRATCH(scratch);
    scratch_put_text(&scratch, "beside", "stands");
    cr_assert_eq(mkdirat(scratch.fd, "inner", 0700), 0);
    FD(inner) = openat(scratch.fd, "inner", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    TEXT(absolute) = must_printf("%s/beside", scratch.path);
    const char *const no_names[] = {"", ".", "..", "a/b", "../beside", absolute, "a/"};
    for (size_t i = 0; i < sizeof no_names / sizeof no_names[0]; i++) {
        const char *name = no_names[i];
        struct error err = {0};
        char *data;
        size_t size;
        cr_expect_eq(durable_write(inner, name, "x", 1, &err), -1, "'%s'", name);
        cr_expect_eq(err.class, ERROR_BUG, "'%s'", name);
        cr_expect_eq(durable_write_volatile(inner, name, "x", 1, &err), -1, "'%s'", name);
        cr_expect_eq(durable_mkdir(inner, name, 0700, &err), -1, "'%s'", name);
        cr_expect_eq(durable_rename(inner, name, inner, "y", &err), -1, "'%s'", name);
        cr_expect_eq(durable_rename(inner, "y", inner, name, &err), -1, "'%s'", name);
        cr_expect_eq(durable_unlink(inner, name, &err), -1, "'%s'", name);
        cr_expect_eq(durable_remove_tree(inner, name, &err), -1, "'%s'", name);
        cr_expect_eq(durable_read(inner, name, 10, &data, &size, &err), -1, "'%s'", name);
    }
    cr_expect_str_eq(scratch_get(&scratch, "beside"), "stands");
    cr_expect_eq(scratch_count(&scratch), 2);
}

Test(durable, making_a_directory_that_is_there_is_fine_and_still_synced)
{
    SCRATCH(scratch);
    struct error err;
    cr_assert_eq(durable_mkdir(scratch.fd, "7.1", 0700, &err), 0);
    watch(0);
    cr_expect_eq(durable_mkdir(scratch.fd, "7.1", 0700, &err), 0);
    cr_expect_str_eq(order, "D", "the life that made it may have died before its fsync");
}

Test(durable, a_file_or_a_link_is_no_directory)
{
    SCRATCH(scratch);
    struct error err;
    scratch_put_text(&scratch, "file", "");
    cr_assert_eq(symlinkat(".", scratch.fd, "link"), 0);
    cr_expect_eq(durable_mkdir(scratch.fd, "file", 0700, &err), -1);
    cr_expect_eq(err.code, ENOTDIR);
    cr_expect_eq(durable_mkdir(scratch.fd, "link", 0700, &err), -1);
    cr_expect_eq(err.code, ENOTDIR);
}

Test(durable, a_rename_syncs_the_new_place_and_then_the_old_one)
{
    SCRATCH(from);
    SCRATCH(to);
    struct error err;
    scratch_put_text(&from, "a", "x");
    watch(0);
    cr_assert_eq(durable_rename(from.fd, "a", to.fd, "b", &err), 0);
    cr_expect_str_eq(order, "RDD");
    cr_expect_str_eq(scratch_get(&to, "b"), "x");
    watch(0);
    cr_assert_eq(durable_rename(to.fd, "b", to.fd, "c", &err), 0);
    cr_expect_str_eq(order, "RD");
    cr_expect_eq(durable_rename(to.fd, "nothing", to.fd, "c", &err), -1);
    cr_expect_eq(err.code, ENOENT);
}

Test(durable, unlinking_what_is_not_there_is_fine)
{
    SCRATCH(scratch);
    struct error err;
    scratch_put_text(&scratch, "a", "");
    watch(0);
    cr_expect_eq(durable_unlink(scratch.fd, "a", &err), 0);
    cr_expect_eq(durable_unlink(scratch.fd, "a", &err), 0);
    cr_expect_str_eq(order, "DD");
    mkdirat(scratch.fd, "directory", 0700);
    cr_expect_eq(durable_unlink(scratch.fd, "directory", &err), -1);
}

Test(durable, a_tree_goes_and_what_its_links_point_at_stays)
{
    SCRATCH(scratch);
    SCRATCH(outside);
    struct error err = {0};
    scratch_put_text(&outside, "film", "precious");
    mkdirat(scratch.fd, "7.1", 0700);
    mkdirat(scratch.fd, "7.1/output", 0700);
    mkdirat(scratch.fd, "7.1/output/720p", 0700);
    mkfifoat(scratch.fd, "7.1/fifo", 0600);
    scratch_put_text(&scratch, "7.1/output/720p/seg_0001.m4s", "x");
    cr_assert_eq(symlinkat(outside.path, scratch.fd, "7.1/output/link"), 0);
    cr_assert_eq(symlinkat(outside.path, scratch.fd, "top-link"), 0);
    watch(0);
    cr_assert_eq(durable_remove_tree(scratch.fd, "7.1", &err), 0, "%s", err.message);
    cr_expect_str_eq(order, "D");
    cr_assert_eq(durable_remove_tree(scratch.fd, "top-link", &err), 0, "%s", err.message);
    cr_assert_eq(durable_remove_tree(scratch.fd, "top-link", &err), 0, "not there: fine");
    cr_expect_eq(scratch_count(&scratch), 0);
    cr_expect_str_eq(scratch_get(&outside, "film"), "precious");
}

enum { TREE_OF_MANY = 300, TREE_TOO_DEEP = 40 };

Test(durable, a_tree_of_many_files_goes_whole)
{
    SCRATCH(scratch);
    struct error err = {0};
    mkdirat(scratch.fd, "many", 0700);
    for (int i = 0; i < TREE_OF_MANY; i++) {
        TEXT(name) = must_printf("many/seg_%04d.m4s", i);
        scratch_put_text(&scratch, name, "");
    }
    cr_assert_eq(durable_remove_tree(scratch.fd, "many", &err), 0, "%s", err.message);
    cr_expect_not(durable_exists(scratch.fd, "many"));
}

Test(durable, a_tree_too_deep_is_an_error_and_no_endless_descent)
{
    SCRATCH(scratch);
    struct error err = {0};
    char path[4 * TREE_TOO_DEEP] = "d";
    for (int i = 0; i < TREE_TOO_DEEP; i++) {
        cr_assert_eq(mkdirat(scratch.fd, path, 0700), 0);
        memcpy(path + strlen(path), "/d", 3);
    }
    cr_expect_eq(durable_remove_tree(scratch.fd, "d", &err), -1);
    cr_expect_eq(err.code, ELOOP);
    FD(middle) = openat(scratch.fd, "d/d/d/d/d/d/d/d/d/d/d/d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_expect_eq(durable_remove_tree(middle, "d", &err), 0, "what is left is within the bound");
}

Test(durable, reading_gives_the_bytes_with_a_nul_behind_them)
{
    SCRATCH(scratch);
    struct error err;
    TEXT(data) = NULL;
    size_t size = 99;
    scratch_put(&scratch, "claim.json", "a\0b", 3, 0600);
    cr_assert_eq(durable_read(scratch.fd, "claim.json", 3, &data, &size, &err), 0);
    cr_expect_eq(size, 3);
    cr_expect_arr_eq(data, "a\0b", 4);
    TEXT(nothing) = NULL;
    scratch_put_text(&scratch, "empty", "");
    cr_assert_eq(durable_read(scratch.fd, "empty", 3, &nothing, &size, &err), 0);
    cr_expect_eq(size, 0);
    cr_expect_str_eq(nothing, "");
}

static int read_code(const struct scratch *scratch, const char *name, size_t max_bytes)
{
    struct error err = {0};
    char *data = NULL;
    size_t size = 0;
    cr_expect_eq(durable_read(scratch->fd, name, max_bytes, &data, &size, &err), -1, "%s", name);
    cr_expect_null(data);
    return err.code;
}

Test(durable, reading_says_what_is_wrong_with_a_file)
{
    SCRATCH(scratch);
    scratch_put_text(&scratch, "film", "four");
    mkdirat(scratch.fd, "directory", 0700);
    mkfifoat(scratch.fd, "fifo", 0600);
    cr_assert_eq(symlinkat("film", scratch.fd, "link"), 0);
    cr_expect_eq(read_code(&scratch, "nothing", 10), ENOENT);
    cr_expect_eq(read_code(&scratch, "film", 3), EFBIG);
    cr_expect_eq(read_code(&scratch, "directory", 10), EINVAL);
    cr_expect_eq(read_code(&scratch, "fifo", 10), EINVAL, "and nobody waits for a writer");
    cr_expect_eq(read_code(&scratch, "link", 10), EINVAL);
}

/* Its size is 0 for fstat: what is read decides. */
Test(durable, a_file_that_says_no_size_is_read_and_bounded)
{
    struct error err;
    TEXT(data) = NULL;
    size_t size = 0;
    FD(self) = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_eq(durable_read(self, "status", 65536, &data, &size, &err), 0);
    cr_expect_gt(size, 100);
    cr_expect_eq(size, strlen(data));
    struct scratch proc = {.fd = self};
    cr_expect_eq(read_code(&proc, "status", 100), EFBIG);
}

Test(durable, exists_sees_a_link_and_not_what_it_names)
{
    SCRATCH(scratch);
    cr_assert_eq(symlinkat("nothing", scratch.fd, "link"), 0);
    cr_expect(durable_exists(scratch.fd, "link"));
    cr_expect_not(durable_exists(scratch.fd, "nothing"));
}
