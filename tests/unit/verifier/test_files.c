/* The directories: what is there, what goes to the trash, what never leads outside. */
#include "base/archive.h"
#include "files_site.h"
#include "verifier/files/files_check.h"
#include "verifier/files/files_source.h"
#include "verifier/files/upload.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define INIT                                                                                       \
    "\0\0\0\x18"                                                                                   \
    "ftypiso5"
#define MEDIA                                                                                      \
    "\0\0\0\x18"                                                                                   \
    "moofiso5"
#define PLAYLIST "#EXTM3U\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:4,\nseg_0001.m4s\n"

static void put(const struct site *site, const char *path, const char *data, size_t size)
{
    TEXT(name) = must_printf("videos/%s", path);
    scratch_put(&site->scratch, name, data, size, 0644);
}

#define AUDIO_LIST                                                                                 \
    "#EXTM3U\n#EXT-X-MAP:URI=\"audio_1_init.mp4\"\n#EXTINF:6,\naudio_1_0000.m4s\n#EXT-X-ENDLIST\n"

static void put_rendition(const struct site *site)
{
    struct error err;
    FD(dir) = files_open_quality(&site->files, "film", TAILSLATE_QUALITY_720P, true, &err);
    cr_assert_geq(dir, 0, "%s", err.message);
    put(site, "film/720p/init.mp4", INIT, 12);
    put(site, "film/720p/seg_0001.m4s", MEDIA, 12);
    put(site, "film/720p/stream.m3u8", PLAYLIST, strlen(PLAYLIST));
}

static bool is_missing(const struct site *site, enum tailslate_quality quality)
{
    tailslate_quality_set missing;
    struct error err;
    cr_assert_eq(files_missing(&site->files, "film", 1u << quality, &missing, &err), 0);
    return missing != 0;
}

static void drop(const struct site *site, const char *path)
{
    TEXT(name) = must_printf("videos/%s", path);
    cr_assert_eq(unlinkat(site->scratch.fd, name, 0), 0, "%s", name);
}

/* As many descriptors as are open and `more`. */
static void limit_files(rlim_t more, struct rlimit *before)
{
    int next = dup(STDERR_FILENO);
    cr_assert_geq(next, 0);
    close(next);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, before), 0);
    struct rlimit limit = {.rlim_cur = (rlim_t)next + more, .rlim_max = before->rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* A worker that is told of missing files may give up a video whose files are all there. */
Test(files, what_cannot_be_looked_at_is_not_said_to_be_missing)
{
    SITE(site);
    put_rendition(&site);
    for (rlim_t more = 0; more < 3;
         more++) { /* the video's directory, the rendition's, its playlist */
        struct rlimit before;
        struct error err;
        tailslate_quality_set missing;
        limit_files(more, &before);
        int looked = files_missing(&site.files, "film", 1u << TAILSLATE_QUALITY_720P, &missing,
                                   &err);
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
        cr_expect_eq(looked, -1, "with %d", (int)more);
        cr_expect(looked == 0 || err.class == ERROR_TEMPORARY, "%s", err.message);
    }
    cr_expect_not(is_missing(&site, TAILSLATE_QUALITY_720P));
}

/* The master playlist offers them as other languages: a choice that cannot be played is none. */
Test(files, a_rendition_is_there_only_with_the_further_audio_in_its_directory)
{
    SITE(site);
    put_rendition(&site);
    put(&site, "film/720p/audio_1.m3u8", AUDIO_LIST, strlen(AUDIO_LIST));
    cr_expect(is_missing(&site, TAILSLATE_QUALITY_720P));
    put(&site, "film/720p/audio_1_init.mp4", INIT, 12);
    put(&site, "film/720p/audio_1_0000.m4s", MEDIA, 12);
    cr_expect_not(is_missing(&site, TAILSLATE_QUALITY_720P));
    drop(&site, "film/720p/audio_1_0000.m4s");
    cr_expect(is_missing(&site, TAILSLATE_QUALITY_720P));
}

Test(files, a_rendition_is_there_only_with_every_segment_of_its_playlist)
{
    static const char *const needed[] = {"film/720p/init.mp4", "film/720p/seg_0001.m4s",
                                         "film/720p/stream.m3u8"};
    SITE(site);
    cr_expect(is_missing(&site, TAILSLATE_QUALITY_720P));
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        put_rendition(&site);
        cr_expect_not(is_missing(&site, TAILSLATE_QUALITY_720P));
        drop(&site, needed[i]);
        cr_expect(is_missing(&site, TAILSLATE_QUALITY_720P), "without %s", needed[i]);
    }
    put_rendition(&site);
    put(&site, "film/720p/seg_0001.m4s", "", 0);
    cr_expect(is_missing(&site, TAILSLATE_QUALITY_720P), "an empty segment");
    cr_expect(is_missing(&site, TAILSLATE_QUALITY_480P));
}

Test(files, the_flat_form_counts_as_well)
{
    SITE(site);
    struct error err;
    FD(video) = files_open_video(&site.files, "film", true, &err);
    cr_assert_geq(video, 0, "%s", err.message);
    put(&site, "film/480p.m3u8", "#EXTM3U\n480p_0000.ts\n", 21);
    cr_expect(is_missing(&site, TAILSLATE_QUALITY_480P));
    put(&site, "film/480p_0000.ts", "\x47", 1);
    cr_expect_not(is_missing(&site, TAILSLATE_QUALITY_480P));
}

Test(files, a_link_is_never_followed)
{
    SITE(site);
    struct error err;
    TEXT(target) = must_printf("%s/uploads", site.scratch.path);
    cr_assert_eq(symlinkat(target, site.files.videos, "film"), 0);
    cr_expect_lt(files_open_video(&site.files, "film", true, &err), 0);
    put(&site, "other", "x", 1);
    cr_assert_eq(symlinkat("/etc/passwd", site.files.uploads, "1.mp4"), 0);
    cr_expect_lt(files_open_source(&site.files, 1, &err), 0);
    cr_expect_lt(files_open_video(&site.files, "../uploads", false, &err), 0);
    cr_expect_eq(err.code, EINVAL);
}

Test(files, what_is_discarded_is_in_the_trash_and_the_rest_stays)
{
    SITE(site);
    struct error err;
    put_rendition(&site);
    put(&site, "film/720p.m3u8", "x", 1);
    put(&site, "film/480p.m3u8", "x", 1);
    put(&site, "film/master.m3u8", "x", 1);
    cr_assert_eq(files_discard(&site.files, "film", 1u << TAILSLATE_QUALITY_720P, &err), 0, "%s",
                 err.message);
    FD(video) = files_open_video(&site.files, "film", false, &err);
    cr_expect_not(durable_exists(video, "720p"));
    cr_expect_not(durable_exists(video, "720p.m3u8"));
    cr_expect(durable_exists(video, "480p.m3u8"));
    cr_expect(durable_exists(video, "master.m3u8"));
    cr_expect(durable_exists(site.files.videos, ".trash"));
    cr_assert_eq(files_discard(&site.files, "never", 1u << TAILSLATE_QUALITY_720P, &err), 0);
}

static int count_sources(void *count, int dir, const char *name, struct error *err)
{
    FD(folder) = files_open_dir(dir, name, false, err);
    *(int *)count += durable_exists(folder, "7.mkv") + durable_exists(folder, "7.mp4");
    return 0;
}

Test(files, a_rendition_that_needs_a_key_or_another_server_is_not_there)
{
    static const char *const tags[] = {"#EXT-X-KEY:METHOD=AES-128,URI=\"https://x/key\"\n",
                                       "#EXT-X-PART:DURATION=1,URI=\"https://x/part.m4s\"\n",
                                       "#EXT-X-GAP\n"};
    SITE(site);
    struct error err;
    tailslate_quality_set missing;
    put_rendition(&site);
    cr_assert_eq(files_missing(&site.files, "film", 1u << TAILSLATE_QUALITY_720P, &missing, &err),
                 0);
    cr_expect_eq(missing, 0);
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++) {
        TEXT(playlist) = must_printf("%s%s%s", "#EXTM3U\n", tags[i], strchr(PLAYLIST, '\n') + 1);
        put(&site, "film/720p/stream.m3u8", playlist, strlen(playlist));
        cr_assert_eq(
            files_missing(&site.files, "film", 1u << TAILSLATE_QUALITY_720P, &missing, &err), 0);
        cr_expect_eq(missing, 1u << TAILSLATE_QUALITY_720P, "%s", tags[i]);
    }
}

/* It may be the only copy of another database's video. */
Test(files, a_source_sends_what_has_its_number_to_the_trash)
{
    SITE(site);
    struct error err;
    char name[FILENAME_BYTES];
    scratch_put_text(&site.scratch, "film", "the film");
    scratch_put_text(&site.scratch, "uploads/7.mkv", "left over");
    scratch_put_text(&site.scratch, "uploads/7.mp4", "left over");
    FD(from) = openat(site.scratch.fd, "film", O_RDONLY | O_CLOEXEC);
    struct files_incoming incoming = {.from = from};
    cr_assert_eq(files_take_in(&site.files, &incoming, &err), 0, "%s", err.message);
    cr_assert_eq(files_place_source(&site.files, incoming.temp, 7, "mp4", &err), 0, "%s",
                 err.message);
    files_source_name(&site.files, 7, name);
    cr_expect_str_eq(name, "7.mp4");
    cr_expect_not(durable_exists(site.files.uploads, "7.mkv"));
    cr_expect_str_eq(scratch_get(&site.scratch, "uploads/7.mp4"), "the film");
    int trashed = 0;
    FD(trash) = files_open_dir(site.files.uploads, ".trash", false, &err);
    cr_assert_geq(trash, 0, "%s", err.message);
    files_for_each(trash, count_sources, &trashed, &err);
    cr_expect_eq(trashed, 2);
}

/* A root that adds a video gives it to the server, whose the directory is; 65534: nobody. */
Test(files, a_source_is_read_by_the_folders_owner_and_group_alone)
{
    SITE(site);
    struct error err;
    struct stat folder, source;
    scratch_put(&site.scratch, "film", "the film", 8, 0666);
    FD(from) = openat(site.scratch.fd, "film", O_RDONLY | O_CLOEXEC);
    if (geteuid() == 0)
        cr_assert_eq(fchown(site.files.uploads, 65534, 65534), 0);
    struct files_incoming incoming = {.from = from};
    cr_assert_eq(files_take_in(&site.files, &incoming, &err), 0, "%s", err.message);
    cr_assert_eq(files_place_source(&site.files, incoming.temp, 7, "mp4", &err), 0, "%s",
                 err.message);
    cr_assert_eq(fstatat(site.files.uploads, "7.mp4", &source, 0), 0);
    cr_assert_eq(fstat(site.files.uploads, &folder), 0);
    cr_expect_eq(source.st_mode & 07777, 0640, "%o", (unsigned)source.st_mode);
    cr_expect_eq(source.st_uid, folder.st_uid);
    cr_expect_eq(source.st_gid, folder.st_gid);
}

Test(files, six_endings_are_sources)
{
    cr_expect_str_eq(files_source_extension("/a/b.MP4"), "mp4");
    cr_expect_str_eq(files_source_extension("x.y.webm"), "webm");
    cr_expect_null(files_source_extension("film"));
    cr_expect_null(files_source_extension("film.txt"));
    cr_expect_null(files_source_extension("folder.mp4/film"));
}

static void unpack(const struct site *site, const char *const names[], size_t count,
                   struct tar_upload *upload, int *result, struct error *err)
{
    cr_assert_eq(tar_upload_begin(&site->files, "film", upload, err), 0, "%s", err->message);
    upload->quality = TAILSLATE_QUALITY_720P;
    FD(source) = openat(site->scratch.fd, "videos/source", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_eq(archive_pack(source, names, count, upload->fd, err), 0, "%s", err->message);
    *result = tar_upload_unpack(upload, err);
}

static void put_source(const struct site *site)
{
    struct error err;
    FD(dir) = files_open_quality(&site->files, "source", TAILSLATE_QUALITY_720P, true, &err);
    cr_assert_geq(dir, 0, "%s", err.message);
    put(site, "source/720p/init.mp4", INIT, 12);
    put(site, "source/720p/seg_0001.m4s", MEDIA, 12);
    put(site, "source/720p/stream.m3u8", PLAYLIST, strlen(PLAYLIST));
    put(site, "source/720p/seg_0002.m4s", "no media", 8);
    put(site, "source/master.m3u8", "#EXTM3U\n", 8);
}

Test(upload, an_archive_is_seen_only_once_it_is_published)
{
    static const char *const names[] = {"720p/init.mp4", "720p/seg_0001.m4s", "720p/stream.m3u8"};
    SITE(site);
    struct tar_upload upload;
    struct error err;
    int result;
    put_source(&site);
    put_rendition(&site);
    put(&site, "film/720p/seg_0009.m4s", MEDIA, 12);
    unpack(&site, names, 3, &upload, &result, &err);
    cr_assert_eq(result, 0, "%s", err.message);
    cr_expect(durable_exists(site.files.videos, "film"));
    cr_assert_eq(tar_upload_publish(&upload, &err), 0, "%s", err.message);
    tar_upload_end(&upload);
    cr_expect_not(is_missing(&site, TAILSLATE_QUALITY_720P));
    FD(folder) = files_open_quality(&site.files, "film", TAILSLATE_QUALITY_720P, false, &err);
    cr_expect_not(durable_exists(folder, "seg_0009.m4s"), "the archive replaces the rendition");
}

Test(upload, an_archive_with_a_foreign_file_or_foreign_content_is_refused_and_leaves_nothing)
{
    static const char *const wrong[] = {"master.m3u8", "720p/seg_0002.m4s"};
    SITE(site);
    put_source(&site);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct tar_upload upload;
        struct error err;
        int result;
        unpack(&site, &wrong[i], 1, &upload, &result, &err);
        cr_expect_eq(result, -1, "%s", wrong[i]);
        cr_expect_eq(err.code, EINVAL, "%s: %s", wrong[i], err.message);
        cr_expect_not(durable_exists(upload.staging_root, "film"));
        FD(root) = dup(upload.staging_root);
        char staging[TAILSLATE_UUID_BYTES];
        memcpy(staging, upload.staging_name, sizeof staging);
        tar_upload_end(&upload);
        cr_expect_not(durable_exists(root, staging));
        cr_expect_not(durable_exists(site.files.videos, "film"));
    }
}

Test(upload, a_segment_that_was_not_published_is_gone)
{
    SITE(site);
    struct segment_upload upload;
    struct error err;
    cr_assert_eq(segment_upload_begin(&site.files, "film", TAILSLATE_QUALITY_720P, "init.mp4",
                                      &upload, &err),
                 0, "%s", err.message);
    FD(folder) = dup(upload.dir);
    char temp[DURABLE_TEMP_BYTES];
    memcpy(temp, upload.temp, sizeof temp);
    cr_expect(durable_exists(folder, temp));
    segment_upload_end(&upload);
    cr_expect_not(durable_exists(folder, temp));
    cr_expect_not(durable_exists(folder, "init.mp4"));
}

/* ---- waits for the disk, counted: this fsync stands before the C library's ---- */

static atomic_int fsyncs;

int fsync(int fd)
{
    atomic_fetch_add(&fsyncs, 1);
    return (int)syscall(SYS_fsync, fd);
}

enum { FLAT_COUNT = 50, FSYNCS_MAX = 12 };

static void put_flat(const struct site *site, const char *folder)
{
    for (int i = 0; i < FLAT_COUNT; i++) {
        TEXT(path) = must_printf("%s/720p_%04d.ts", folder, i);
        put(site, path, "G stream", 8);
    }
}

/* Both happen under the database's write lock, where everybody waits for them. */
Test(files, many_are_moved_with_few_waits_for_the_disk)
{
    SITE(site);
    struct error err;
    struct tar_upload upload;
    char *names[FLAT_COUNT];
    int result;
    put_source(&site);
    put_flat(&site, "source");
    put_rendition(&site);
    put_flat(&site, "film");
    for (int i = 0; i < FLAT_COUNT; i++)
        names[i] = must_printf("720p_%04d.ts", i);
    unpack(&site, (const char *const *)names, FLAT_COUNT, &upload, &result, &err);
    cr_assert_eq(result, 0, "%s", err.message);
    atomic_store(&fsyncs, 0);
    cr_assert_eq(tar_upload_publish(&upload, &err), 0, "%s", err.message);
    cr_expect_leq(atomic_load(&fsyncs), FSYNCS_MAX, "%d waits", atomic_load(&fsyncs));
    cr_expect_gt(atomic_load(&fsyncs), 3, "what was moved must be on the disk, on both sides");
    tar_upload_end(&upload);
    FD(video) = files_open_video(&site.files, "film", false, &err);
    for (int i = 0; i < FLAT_COUNT; i++) {
        cr_expect(files_is_there(video, names[i]), "%s", names[i]);
        free(names[i]);
    }
}
