/* What of a rendition has arrived: for a worker that resumes, and when it says that all is there.
 */
#include "routes.h"
#include "segment.h"

#include "tailslate/cleanup.h"
#include "tailslate/durable.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SEGMENTS_MAX = 100 * 1000 };

struct received {
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

static void note_received(struct received *received, int dir, const char *name)
{
    struct stat status;
    if (segment_kind_of(name) == SEGMENT_REFUSED || received->count == SEGMENTS_MAX ||
        fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(status.st_mode))
        return;
    received->names[received->count++] = must_strdup(name);
    received->bytes += status.st_size;
}

/* only: the files of this rendition that lie flat; NULL: everything in the folder. */
static void list_folder(int dir, const enum quality *only, struct received *received)
{
    int copy = files_open_beneath(dir, ".", O_RDONLY | O_DIRECTORY);
    DIRECTORY(list) = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *entry;
    while (list && (entry = readdir(list)))
        if (!only || segment_is_flat(*only, entry->d_name))
            note_received(received, dir, entry->d_name);
}

static int by_name(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static void list_received(int video, enum quality quality, struct received *received)
{
    *received = (struct received){.names = must_calloc(SEGMENTS_MAX, sizeof(char *))};
    if (video < 0)
        return;
    FD(folder) = files_open_beneath(video, quality_name(quality), O_RDONLY | O_DIRECTORY);
    if (folder >= 0)
        list_folder(folder, NULL, received);
    list_folder(video, &quality, received);
    qsort(received->names, received->count, sizeof *received->names, by_name);
}

void route_segments_status(struct request *request, struct answer *answer)
{
    enum verify_standing standing;
    struct store_job job;
    struct received received;
    struct error ignored;
    const char *name = request_query(request, "quality");
    enum quality quality;
    if (!name || !quality_parse(name, &quality))
        return answer_problem(answer, PROBLEM_INVALID_FIELD, "quality: one of the seven names");
    if (!route_look(request, answer, &standing, &job))
        return;
    FD(video) = files_open_video(request->app->files, job.slug, false, &ignored);
    list_received(video, quality, &received);
    struct json *root = json_new_object(), *list = json_new_array();
    for (size_t i = 0; i < received.count; i++)
        json_append_text(list, received.names[i]);
    json_set_text(root, "quality", quality_name(quality));
    json_set(root, "received_segments", list);
    json_set_int(root, "total_size_bytes", received.bytes);
    free_received(&received);
    answer_object(answer, root);
}

struct finalize {
    enum quality quality;
    int64_t segment_count;
    char checksum[HASH_HEX_BYTES]; /* "" = not given */
};

static bool parse_finalize(const struct request *request, struct finalize *finalize,
                           struct answer *answer)
{
    static const char prefix[] = "sha256:";
    struct error err;
    const char *quality = NULL, *checksum = NULL;
    JSON(body) = json_parse(request->body, request->body_size, &err);
    *finalize = (struct finalize){0};
    if (!body) {
        answer_problem(answer, PROBLEM_BAD_JSON, err.message);
        return false;
    }
    const char *detail = NULL;
    if (json_get_text(body, "quality", 16, &quality) != JSON_FOUND ||
        !quality_parse(quality, &finalize->quality))
        detail = "quality: one of the seven names";
    else if (json_get_int(body, "segment_count", 0, SEGMENTS_MAX, &finalize->segment_count) !=
             JSON_FOUND)
        detail = "segment_count: 0 to 100000";
    else if (json_get_text(body, "manifest_checksum", 80, &checksum) == JSON_WRONG)
        detail = "manifest_checksum: a text";
    if (detail) {
        answer_problem(answer, PROBLEM_INVALID_FIELD, detail);
        return false;
    }
    if (!checksum)
        return true;
    if (strncmp(checksum, prefix, sizeof prefix - 1) == 0)
        checksum += sizeof prefix - 1;
    if (strlen(checksum) != HASH_HEX_BYTES - 1 ||
        strspn(checksum, "0123456789abcdefABCDEF") != HASH_HEX_BYTES - 1) {
        answer_problem(answer, PROBLEM_INVALID_FIELD, "manifest_checksum: sha256:<64 digits>");
        return false;
    }
    memcpy(finalize->checksum, checksum, HASH_HEX_BYTES);
    return true;
}

static void note_missing(const char *path, void *ctx)
{
    const char *slash = strrchr(path, '/');
    json_append_text(ctx, slash ? slash + 1 : path);
}

static void name_playlist(enum quality quality, bool cmaf, char name[32])
{
    snprintf(name, 32, "%s.m3u8", cmaf ? "stream" : quality_name(quality));
}

static bool checksum_fits(int dir, const char *name, const char *checksum)
{
    char hex[HASH_HEX_BYTES];
    struct error ignored;
    FD(fd) = files_open_beneath(dir, name, O_RDONLY | O_NONBLOCK);
    return fd >= 0 && hash_file(fd, hex, NULL, &ignored) == 0 && strcasecmp(hex, checksum) == 0;
}

/* Is the playlist that is there the one that the worker means? It names as many files, and has the
 * checksum where one is told. */
static bool playlist_fits(int video, const struct finalize *finalize, bool cmaf)
{
    char name[32];
    enum quality quality = finalize->quality;
    name_playlist(quality, cmaf, name);
    if (files_count_named(video, quality, cmaf) != finalize->segment_count)
        return false;
    if (!finalize->checksum[0])
        return true;
    FD(folder) = cmaf ? files_open_beneath(video, quality_name(quality), O_RDONLY | O_DIRECTORY)
                      : -1;
    return checksum_fits(cmaf ? folder : video, name, finalize->checksum);
}

void route_segment_finalize(struct request *request, struct answer *answer)
{
    struct finalize finalize;
    enum verify_standing standing;
    struct store_job job;
    struct error ignored;
    if (!parse_finalize(request, &finalize, answer) ||
        !route_look(request, answer, &standing, &job))
        return;
    struct json *missing = json_new_array();
    FD(video) = files_open_video(request->app->files, job.slug, false, &ignored);
    bool cmaf = files_check_quality(video, finalize.quality, note_missing, missing);
    /* Nothing it names is missing, but it is another one: that is what has to come again. */
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
