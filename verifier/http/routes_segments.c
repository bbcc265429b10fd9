#include "verifier/http/routes_segments.h"

#include "lib/cleanup.h"
#include "verifier/base/segment.h"
#include "verifier/files/files_check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SEGMENTS_MAX = 100 * 1000 };

struct received {
    enum tailslate_quality quality;
    char **names;
    size_t count;
    int64_t bytes;
};

static void free_received(struct received *received)
{
    for (size_t i = 0; i < received->count; i++)
        free(received->names[i]);
    free(received->names);
}

static int note_received(void *ctx, int dir, const char *name, struct error *err)
{
    struct received *received = ctx;
    struct stat status;
    (void)err;
    if (segment_kind_of(name) == SEGMENT_REFUSED || received->count == SEGMENTS_MAX ||
        fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(status.st_mode))
        return 0;
    received->names[received->count++] = must_strdup(name);
    received->bytes += status.st_size;
    return 0;
}

static int note_flat(void *ctx, int dir, const char *name, struct error *err)
{
    const struct received *received = ctx;
    return segment_is_flat(received->quality, name) ? note_received(ctx, dir, name, err) : 0;
}

static int by_name(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static void list_received(int video, enum tailslate_quality quality, struct received *received)
{
    struct error ignored;
    *received = (struct received){.quality = quality,
                                  .names = must_calloc(SEGMENTS_MAX, sizeof(char *))};
    if (video < 0)
        return;
    FD(dir) = files_open_beneath(video, tailslate_quality_name(quality), O_RDONLY | O_DIRECTORY);
    if (dir >= 0)
        files_for_each(dir, note_received, received, &ignored);
    files_for_each(video, note_flat, received, &ignored);
    qsort(received->names, received->count, sizeof *received->names, by_name);
}

void route_segments_status(struct request *request, struct answer *answer)
{
    enum tailslate_standing standing;
    struct store_job job;
    struct received received;
    struct error ignored;
    const char *name = request_query(request, "quality");
    enum tailslate_quality quality;
    if (!name || !tailslate_quality_parse(name, &quality))
        return answer_problem(answer, TAILSLATE_PROBLEM_INVALID_FIELD,
                              "quality: must be 360p to 2160p or original");
    if (!route_read_job(request, answer, &standing, &job))
        return;
    FD(video) = files_open_video(request->app->files, job.slug, false, &ignored);
    list_received(video, quality, &received);
    struct json *root = json_new_object(), *list = json_new_array();
    for (size_t i = 0; i < received.count; i++)
        json_append_text(list, received.names[i]);
    json_set_text(root, "quality", tailslate_quality_name(quality));
    json_set(root, "received_segments", list);
    json_set_int(root, "total_size_bytes", received.bytes);
    free_received(&received);
    answer_object(answer, root);
}

struct finalize {
    enum tailslate_quality quality;
    int64_t segment_count;
    char checksum[HASH_HEX_BYTES]; /* "" = not given */
};

static bool parse_finalize(const struct request *request, struct finalize *finalize,
                           struct answer *answer)
{
    struct error err;
    const char *quality = NULL, *checksum = NULL;
    JSON(body) = json_parse(request->body, request->body_size, &err);
    *finalize = (struct finalize){0};
    if (!body) {
        answer_problem(answer, TAILSLATE_PROBLEM_BAD_JSON, err.message);
        return false;
    }
    const char *detail = NULL;
    if (json_get_text(body, "quality", 16, &quality) != JSON_FOUND ||
        !tailslate_quality_parse(quality, &finalize->quality))
        detail = "quality: must be 360p to 2160p or original";
    else if (json_get_int(body, "segment_count", 0, SEGMENTS_MAX, &finalize->segment_count) !=
             JSON_FOUND)
        detail = "segment_count: must be an integer from 0 to 100000";
    else if (json_get_text(body, "manifest_checksum", 80, &checksum) == JSON_WRONG)
        detail = "manifest_checksum: must be a string";
    else if (checksum && !route_parse_checksum(checksum, finalize->checksum))
        detail = "manifest_checksum: sha256:<64 digits>";
    if (detail)
        answer_problem(answer, TAILSLATE_PROBLEM_INVALID_FIELD, detail);
    return !detail;
}

static void note_missing(const char *path, void *ctx)
{
    const char *slash = strrchr(path, '/');
    json_append_text(ctx, slash ? slash + 1 : path);
}

static void name_playlist(enum tailslate_quality quality, bool cmaf, char name[32])
{
    snprintf(name, 32, "%s.m3u8", cmaf ? "stream" : tailslate_quality_name(quality));
}

static bool checksum_fits(int dir, const char *name, const char *checksum)
{
    char hex[HASH_HEX_BYTES];
    struct error ignored;
    FD(fd) = files_open_beneath(dir, name, O_RDONLY | O_NONBLOCK);
    return fd >= 0 && hash_file(fd, hex, NULL, &ignored) == 0 && strcmp(hex, checksum) == 0;
}

static int64_t count_media(int video, enum tailslate_quality quality)
{
    struct received received;
    int64_t count = 0;
    list_received(video, quality, &received);
    for (size_t i = 0; i < received.count; i++)
        count += segment_is_media(segment_kind_of(received.names[i]));
    free_received(&received);
    return count;
}

/* True: the playlist on disk is the worker's. It must have the checksum, if one is given. The count
 * is only a lower bound: a stock worker that uploads while it transcodes counts the segments that
 * it has not deleted yet, so any number from 0 may come. */
static bool playlist_fits(int video, const struct finalize *finalize, bool cmaf)
{
    char name[32];
    enum tailslate_quality quality = finalize->quality;
    name_playlist(quality, cmaf, name);
    if (count_media(video, quality) < finalize->segment_count)
        return false;
    if (!finalize->checksum[0])
        return true;
    FD(dir) = cmaf ? files_open_beneath(video, tailslate_quality_name(quality),
                                        O_RDONLY | O_DIRECTORY)
                   : -1;
    return checksum_fits(cmaf ? dir : video, name, finalize->checksum);
}

void route_segment_finalize(struct request *request, struct answer *answer)
{
    struct finalize finalize;
    enum tailslate_standing standing;
    struct store_job job;
    bool cmaf;
    struct error err;
    if (!parse_finalize(request, &finalize, answer) ||
        !route_read_job(request, answer, &standing, &job))
        return;
    FD(video) = files_open_video(request->app->files, job.slug, false, &err);
    if (video < 0 && err.code != ENOENT)
        return answer_error(answer, request, &err);
    struct json *missing = json_new_array();
    if (files_check_quality(video, finalize.quality, note_missing, missing, &cmaf, &err) != 0) {
        json_free(missing);
        return answer_error(answer, request, &err);
    }
    /* All its segments are there, but it is another playlist: it has to be uploaded again. */
    if (json_count(missing) == 0 && !playlist_fits(video, &finalize, cmaf)) {
        char name[32];
        name_playlist(finalize.quality, cmaf, name);
        json_append_text(missing, name);
    }
    bool complete = json_count(missing) == 0;
    struct json *root = json_new_object();
    json_set_text(root, "status", complete ? "ok" : "incomplete");
    json_set_bool(root, "complete", complete);
    json_set(root, "missing_segments", missing);
    answer_object(answer, root);
}
