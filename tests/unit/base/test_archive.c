#include "base/archive.h"
#include "scratch.h"

#include <archive.h>
#include <archive_entry.h>
#include <criterion/criterion.h>
#include <errno.h>

static const struct archive_limits generous = {.max_bytes = 1 << 20, .max_files = 16};

/* One entry of an archive that a test makes by hand, as a hostile peer might. */
struct part {
    const char *path;
    unsigned type;    /* 0: a file */
    const char *link; /* "h:target" or "s:target" */
    size_t size;      /* of zeros, where there is no text */
    const char *text;
};

static void add_part(struct archive *archive, const struct part *part)
{
    struct archive_entry *entry = archive_entry_new();
    size_t size = part->text ? strlen(part->text) : part->size;
    archive_entry_set_pathname(entry, part->path);
    archive_entry_set_filetype(entry, part->type ? part->type : AE_IFREG);
    archive_entry_set_perm(entry, 04777);
    archive_entry_set_size(entry, (la_int64_t)size);
    if (part->link && part->link[0] == 'h')
        archive_entry_set_hardlink(entry, part->link + 2);
    if (part->link && part->link[0] == 's')
        archive_entry_set_symlink(entry, part->link + 2);
    cr_assert_eq(archive_write_header(archive, entry), ARCHIVE_OK, "%s",
                 archive_error_string(archive));
    TEXT(zeros) = must_calloc(1, size);
    archive_write_data(archive, part->text ? part->text : zeros, size);
    archive_entry_free(entry);
}

/* Each gzip around it is one more filter. */
static void make_archive(const struct scratch *scratch, const char *name, int gzips,
                         const struct part *parts, size_t count)
{
    struct archive *archive = archive_write_new();
    FD(fd) = openat(scratch->fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    for (int i = 0; i < gzips; i++)
        archive_write_add_filter_gzip(archive);
    archive_write_set_format_pax_restricted(archive);
    cr_assert_eq(archive_write_open_fd(archive, fd), ARCHIVE_OK);
    for (size_t i = 0; i < count; i++)
        add_part(archive, &parts[i]);
    cr_assert_eq(archive_write_close(archive), ARCHIVE_OK);
    archive_write_free(archive);
}

/* Where unpacked files go: `out-<n>`, and the list of their paths. */
struct placed {
    const struct scratch *scratch;
    char paths[1024];
    int count;
};

static int place(const char *path, void *ctx, struct error *err)
{
    struct placed *placed = ctx;
    if (strcmp(path, "unwanted") == 0)
        return error_set(err, ERROR_PERMANENT, EPERM, "unwanted");
    TEXT(paths) = must_printf("%s%s;", placed->paths, path);
    cr_assert_lt(strlen(paths), sizeof placed->paths);
    memcpy(placed->paths, paths, strlen(paths) + 1);
    TEXT(name) = must_printf("out-%d", placed->count++);
    return openat(placed->scratch->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
}

static int unpack(const struct scratch *scratch, const char *name, struct archive_limits limits,
                  struct placed *placed, struct error *err)
{
    *placed = (struct placed){.scratch = scratch};
    FD(fd) = openat(scratch->fd, name, O_RDONLY | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    return archive_unpack(fd, limits, place, placed, err);
}

static void pack(const struct scratch *scratch, const char *out, const char *const *names,
                 size_t count)
{
    struct error err = {0};
    FD(fd) = openat(scratch->fd, out, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    cr_assert_eq(archive_pack(scratch->fd, names, count, fd, &err), 0, "%s", err.message);
}

static void put_rendition(const struct scratch *scratch, char *segment, size_t size)
{
    for (size_t i = 0; i < size; i++)
        segment[i] = (char)(i * i >> 3);
    mkdirat(scratch->fd, "720p", 0700);
    scratch_put(scratch, "720p/seg_0001.m4s", segment, size, 0640);
    scratch_put_text(scratch, "720p/stream.m3u8", "#EXTM3U\n");
    scratch_put_text(scratch, "empty", "");
}

static const char *const rendition[] = {"720p/seg_0001.m4s", "720p/stream.m3u8", "empty"};

Test(archive, what_was_packed_is_unpacked)
{
    SCRATCH(scratch);
    struct placed placed;
    struct error err = {0};
    char segment[200000];
    put_rendition(&scratch, segment, sizeof segment);
    pack(&scratch, "x.tgz", rendition, 3);
    cr_assert_eq(unpack(&scratch, "x.tgz", generous, &placed, &err), 0, "%s", err.message);
    cr_expect_str_eq(placed.paths, "720p/seg_0001.m4s;720p/stream.m3u8;empty;");
    TEXT(data) = NULL;
    size_t size;
    cr_assert_eq(durable_read(scratch.fd, "out-0", sizeof segment, &data, &size, &err), 0);
    cr_assert_eq(size, sizeof segment);
    cr_expect_eq(memcmp(data, segment, size), 0);
    cr_expect_str_eq(scratch_get(&scratch, "out-1"), "#EXTM3U\n");
    cr_expect_str_eq(scratch_get(&scratch, "out-2"), "");
}

static void set_time(const struct scratch *scratch, const char *name, time_t seconds, long nanos)
{
    struct timespec then = {.tv_sec = seconds, .tv_nsec = nanos};
    struct timespec times[2] = {then, then};
    cr_assert_eq(utimensat(scratch->fd, name, times, 0), 0, "%s", name);
}

/* An upload that is repeated is the same upload: nothing of the owner is in it, or of the time at
 * which it was packed. */
Test(archive, the_same_files_make_the_same_bytes_at_any_time)
{
    SCRATCH(scratch);
    struct error err;
    char segment[1000];
    TEXT(first) = NULL;
    TEXT(second) = NULL;
    size_t first_size, second_size;
    put_rendition(&scratch, segment, sizeof segment);
    set_time(&scratch, "720p/stream.m3u8", 1767457680, 1);
    pack(&scratch, "first", rendition, 3);
    set_time(&scratch, "720p/stream.m3u8", 1767457680, 999999999);
    cr_assert_eq(fchmodat(scratch.fd, "720p/stream.m3u8", 0777, 0), 0);
    pack(&scratch, "second", rendition, 3);
    cr_assert_eq(durable_read(scratch.fd, "first", 65536, &first, &first_size, &err), 0);
    cr_assert_eq(durable_read(scratch.fd, "second", 65536, &second, &second_size, &err), 0);
    cr_assert_eq(first_size, second_size);
    cr_assert_eq(memcmp(first, second, first_size), 0);
    cr_assert_eq(memcmp(first + 4, "\0\0\0\0", 4), 0, "the gzip header's time");
}

/* As a stock server reads it, which serves Last-Modified and ETag by it. */
static time_t packed_time(const struct scratch *scratch, const char *name, const char *path)
{
    struct archive *archive = archive_read_new();
    struct archive_entry *entry;
    time_t found = -1;
    FD(fd) = openat(scratch->fd, name, O_RDONLY | O_CLOEXEC);
    archive_read_support_filter_gzip(archive);
    archive_read_support_format_tar(archive);
    cr_assert_eq(archive_read_open_fd(archive, fd, 4096), ARCHIVE_OK);
    while (found < 0 && archive_read_next_header(archive, &entry) == ARCHIVE_OK)
        if (strcmp(archive_entry_pathname(entry), path) == 0)
            found = archive_entry_mtime(entry);
    archive_read_free(archive);
    return found;
}

Test(archive, a_file_keeps_its_time_when_it_is_packed_and_not_when_it_is_unpacked)
{
    SCRATCH(scratch);
    struct placed placed;
    struct error err = {0};
    struct stat status;
    char segment[1000];
    put_rendition(&scratch, segment, sizeof segment);
    set_time(&scratch, rendition[0], 1767457680, 0);
    set_time(&scratch, rendition[1], 1767457742, 500000000);
    pack(&scratch, "x.tgz", rendition, 3);
    cr_expect_eq(packed_time(&scratch, "x.tgz", rendition[0]), 1767457680);
    cr_expect_eq(packed_time(&scratch, "x.tgz", rendition[1]), 1767457742);
    cr_expect_geq(packed_time(&scratch, "x.tgz", rendition[2]), time(NULL) - 60);

    /* A worker's clock must not make our files look old: orphans are found by their age. */
    cr_assert_eq(unpack(&scratch, "x.tgz", generous, &placed, &err), 0, "%s", err.message);
    cr_assert_eq(fstatat(scratch.fd, "out-0", &status, 0), 0);
    cr_expect_geq(status.st_mtim.tv_sec, time(NULL) - 60);
}

Test(archive, packing_what_is_no_file_says_which)
{
    SCRATCH(scratch);
    FD(out) = openat(scratch.fd, "out", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_eq(symlinkat("out", scratch.fd, "link"), 0);
    static const char *const wrong[] = {"missing", "link", "."};
    for (size_t i = 0; i < 3; i++) {
        struct error err = {0};
        cr_expect_eq(archive_pack(scratch.fd, &wrong[i], 1, out, &err), -1, "%s", wrong[i]);
        cr_expect_eq(strncmp(err.message, wrong[i], strlen(wrong[i])), 0, "%s", err.message);
    }
}

Test(archive, a_disk_that_is_full_is_said_by_its_name)
{
    SCRATCH(scratch);
    struct error err = {0};
    char segment[200000];
    put_rendition(&scratch, segment, sizeof segment);
    FD(full) = open("/dev/full", O_WRONLY | O_CLOEXEC);
    cr_assert_eq(archive_pack(scratch.fd, rendition, 3, full, &err), -1);
    cr_expect_eq(err.code, ENOSPC, "%s", err.message);
    cr_expect_eq(err.class, ERROR_TEMPORARY);
}

Test(archive, dots_in_front_go_and_directories_are_passed_over)
{
    SCRATCH(scratch);
    struct placed placed;
    struct error err = {0};
    static const struct part parts[] = {{.path = ".", .type = AE_IFDIR},
                                        {.path = "./720p", .type = AE_IFDIR},
                                        {.path = "./720p/init.mp4", .text = "a"},
                                        {.path = "././/b..c", .text = "b"}};
    make_archive(&scratch, "x.tgz", 1, parts, 4);
    cr_assert_eq(unpack(&scratch, "x.tgz", generous, &placed, &err), 0, "%s", err.message);
    cr_expect_str_eq(placed.paths, "720p/init.mp4;b..c;");
}

static const struct part hostile[] = {
    {.path = "/etc/cron.d/x", .text = "x"},
    {.path = "../x", .text = "x"},
    {.path = "..", .type = AE_IFDIR},
    {.path = "720p/../../x", .text = "x"},
    {.path = "720p/..", .text = "x"},
    {.path = "./../x", .text = "x"},
    {.path = "soft", .type = AE_IFLNK, .link = "s:/etc/passwd"},
    {.path = "hard", .link = "h:/etc/passwd"},
    {.path = "hard", .link = "h:init.mp4"},
    {.path = "null", .type = AE_IFCHR},
    {.path = "disk", .type = AE_IFBLK},
    {.path = "pipe", .type = AE_IFIFO},
};

Test(archive, anything_but_files_in_directories_is_refused)
{
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        SCRATCH(scratch);
        struct placed placed;
        struct error err = {0};
        make_archive(&scratch, "x.tgz", 1, &hostile[i], 1);
        cr_expect_eq(unpack(&scratch, "x.tgz", generous, &placed, &err), -1, "%s", hostile[i].path);
        cr_expect_eq(err.code, EINVAL, "%s: %s", hostile[i].path, err.message);
        cr_expect_eq(placed.count, 0, "%s", hostile[i].path);
    }
}

/* POSIX lets a hard link have a content; libarchive then calls it a file, and does not write one.
 */
static void make_link_with_content(const struct scratch *scratch, const char *name)
{
    char tar[4 * 512] = "hard";
    memcpy(tar + 100, "0000644", 7);
    memcpy(tar + 124, "00000000001", 11); /* one byte */
    tar[156] = '1';                       /* a hard link */
    memcpy(tar + 157, "/etc/passwd", 11);
    memcpy(tar + 257, "ustar\00000", 8);
    memset(tar + 148, ' ', 8);
    unsigned sum = 0;
    for (size_t i = 0; i < 512; i++)
        sum += (unsigned char)tar[i];
    snprintf(tar + 148, 8, "%06o", sum);
    tar[512] = 'x';

    struct archive *archive = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    FD(fd) = openat(scratch->fd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    archive_write_add_filter_gzip(archive);
    archive_write_set_format_raw(archive);
    archive_entry_set_filetype(entry, AE_IFREG);
    cr_assert_eq(archive_write_open_fd(archive, fd), ARCHIVE_OK);
    cr_assert_eq(archive_write_header(archive, entry), ARCHIVE_OK);
    cr_assert_eq(archive_write_data(archive, tar, sizeof tar), (la_ssize_t)sizeof tar);
    archive_entry_free(entry);
    archive_write_free(archive);
}

Test(archive, a_hard_link_with_a_content_is_still_a_link)
{
    SCRATCH(scratch);
    struct placed placed;
    struct error err = {0};
    make_link_with_content(&scratch, "x.tgz");
    cr_expect_eq(unpack(&scratch, "x.tgz", generous, &placed, &err), -1);
    cr_expect(strstr(err.message, "may contain only files and directories: hard"), "%s",
              err.message);
    cr_expect_eq(placed.count, 0);
}

Test(archive, the_caller_s_refusal_is_the_answer)
{
    SCRATCH(scratch);
    struct placed placed;
    struct error err = {0};
    static const struct part parts[] = {{.path = "unwanted", .text = "x"},
                                        {.path = "wanted", .text = "x"}};
    make_archive(&scratch, "x.tgz", 1, parts, 2);
    cr_assert_eq(unpack(&scratch, "x.tgz", generous, &placed, &err), -1);
    cr_expect_eq(err.code, EPERM);
    cr_expect_str_eq(err.message, "unwanted");
    cr_expect_eq(placed.count, 0);
}

static int code_with(const struct part *parts, size_t count, struct archive_limits limits)
{
    SCRATCH(scratch);
    struct placed placed;
    struct error err = {.code = 0};
    make_archive(&scratch, "x.tgz", 1, parts, count);
    return unpack(&scratch, "x.tgz", limits, &placed, &err) == 0 ? 0 : err.code;
}

Test(archive, the_limit_of_bytes_counts_all_files)
{
    static const struct part parts[] = {{.path = "a", .size = 600}, {.path = "b", .size = 400}};
    cr_expect_eq(code_with(parts, 2, (struct archive_limits){1000, 16}), 0);
    cr_expect_eq(code_with(parts, 2, (struct archive_limits){999, 16}), EFBIG);
    cr_expect_eq(code_with(parts, 2, (struct archive_limits){0, 16}), EFBIG);
}

Test(archive, the_limit_of_files_counts_directories_too)
{
    static const struct part parts[] = {
        {.path = "d", .type = AE_IFDIR}, {.path = "a"}, {.path = "b"}};
    cr_expect_eq(code_with(parts, 3, (struct archive_limits){0, 3}), 0);
    cr_expect_eq(code_with(parts, 3, (struct archive_limits){0, 2}), EFBIG);
}

/* 16 MiB of zeros are 16 KiB on the wire. */
Test(archive, a_bomb_writes_nothing)
{
    SCRATCH(scratch);
    struct placed placed;
    struct error err = {0};
    static const struct part bomb = {.path = "bomb", .size = 16 << 20};
    make_archive(&scratch, "x.tgz", 1, &bomb, 1);
    cr_assert_eq(unpack(&scratch, "x.tgz", generous, &placed, &err), -1);
    cr_expect_eq(err.code, EFBIG);
    cr_expect_eq(placed.count, 0);
}

Test(archive, a_gzip_in_a_gzip_or_none_at_all_is_refused)
{
    static const struct part part = {.path = "a", .text = "x"};
    for (int gzips = 0; gzips <= 2; gzips++) {
        SCRATCH(scratch);
        struct placed placed;
        struct error err = {.code = 0};
        make_archive(&scratch, "x", gzips, &part, 1);
        int result = unpack(&scratch, "x", generous, &placed, &err);
        cr_expect_eq(result, gzips == 1 ? 0 : -1, "%d: %s", gzips, err.message);
        cr_expect_eq(err.code, gzips == 1 ? 0 : EINVAL, "%d: %s", gzips, err.message);
    }
}

Test(archive, what_is_no_archive_is_refused)
{
    static const char *const bodies[] = {"", "<html>", "\x1f\x8b", "\x1f\x8b\x08", "PK\x03\x04"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        SCRATCH(scratch);
        struct placed placed;
        struct error err = {0};
        scratch_put_text(&scratch, "x", bodies[i]);
        cr_expect_eq(unpack(&scratch, "x", generous, &placed, &err), -1, "body %zu", i);
        cr_expect_eq(err.code, EINVAL, "body %zu: %s", i, err.message);
    }
}

/* Known mistake 26: a cut body is no body. */
Test(archive, a_cut_archive_is_refused_wherever_it_is_cut)
{
    SCRATCH(scratch);
    struct error err;
    char segment[3000];
    TEXT(whole) = NULL;
    size_t size;
    put_rendition(&scratch, segment, sizeof segment);
    pack(&scratch, "whole", rendition, 2);
    cr_assert_eq(durable_read(scratch.fd, "whole", 65536, &whole, &size, &err), 0);
    for (size_t cut = 0; cut + 64 < size; cut += 97) {
        SCRATCH(shorter);
        struct placed placed;
        scratch_put(&shorter, "cut", whole, cut, 0600);
        cr_expect_eq(unpack(&shorter, "cut", generous, &placed, &err), -1, "cut at %zu of %zu", cut,
                     size);
    }
}

Test(archive, an_empty_archive_is_one)
{
    cr_assert_eq(code_with(NULL, 0, generous), 0);
}
