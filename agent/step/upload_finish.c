#include "agent/step/upload_finish.h"

#include "agent/media/ladder.h"
#include "agent/step/upload_archive.h"
#include "agent/step/upload_record.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/playlist.h"
#include "lib/cleanup.h"
#include "lib/durable.h"
#include "lib/hash.h"
#include "lib/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static int lost(struct error *err)
{
    return error_set(err, ERROR_TEMPORARY, ECANCELED, "the claim is lost");
}

/* Compares the current file with what was sent. */
static int compare(struct upload *upload, struct upload_rendition *rendition, const char *name,
                   struct error *err)
{
    char hex[HASH_HEX_BYTES];
    FD(fd) = upload_open_file(upload, rendition->quality, name, err);
    if (fd < 0 || hash_file(fd, hex, NULL, err) < 0)
        return -1;
    struct upload_file *file = upload_file_get(rendition, name);
    if (!file)
        return error_set(err, ERROR_PERMANENT, 0, "more than %d files in a rendition",
                         UPLOAD_FILES_MAX);
    if (file->uploaded && !upload_file_has(file, hex))
        upload_file_undone(rendition, file);
    return 0;
}

/* The playlists in a rendition's directory: its own first, then those of single tracks. */
struct lists {
    struct {
        char name[AUDIO_FILE_BYTES];
        struct playlist list;
    } items[2 + AUDIO_PUBLISHED_MAX];
    size_t count;
};

static void lists_cleanup(struct lists *lists)
{
    for (size_t i = 0; i < lists->count; i++)
        playlist_fini(&lists->items[i].list);
}

static size_t lists_count_files(const struct lists *lists)
{
    size_t count = 0;
    for (size_t i = 0; i < lists->count; i++)
        count += lists->items[i].list.count + 1;
    return count;
}

static int lists_add(struct lists *lists, int directory, const char *name, struct error *err)
{
    TEXT(text) = NULL;
    size_t size;
    struct playlist *list = &lists->items[lists->count].list;
    if (durable_read(directory, name, PLAYLIST_MAX_BYTES, &text, &size, err) < 0 ||
        playlist_parse(text, size, list, err) < 0)
        return -1;
    snprintf(lists->items[lists->count].name, AUDIO_FILE_BYTES, "%s", name);
    lists->count++;
    return list->init ? 0 : error_set(err, ERROR_PERMANENT, 0, "%s has no EXT-X-MAP", name);
}

/* Its segments are those of the rendition; only its init segment is another file. */
static int lists_add_video(struct lists *lists, int directory, struct error *err)
{
    if (!durable_exists(directory, LADDER_VIDEO_PLAYLIST))
        return 0;
    if (lists_add(lists, directory, LADDER_VIDEO_PLAYLIST, err) < 0)
        return -1;
    struct playlist *list = &lists->items[lists->count - 1].list;
    while (list->count > 0)
        free(list->segments[--list->count].name);
    return 0;
}

static int lists_read(struct lists *lists, int directory, struct error *err)
{
    if (lists_add(lists, directory, LADDER_PLAYLIST, err) < 0)
        return -1;
    if (lists_add_video(lists, directory, err) < 0)
        return -1;
    for (size_t number = 0; number < AUDIO_PUBLISHED_MAX; number++) {
        char name[AUDIO_FILE_BYTES];
        snprintf(name, sizeof name, AUDIO_PLAYLIST, number);
        if (durable_exists(directory, name) && lists_add(lists, directory, name, err) < 0)
            return -1;
    }
    return 0;
}

static int compare_list(struct upload *upload, struct upload_rendition *rendition,
                        const struct playlist *list, struct error *err)
{
    if (compare(upload, rendition, list->init, err) < 0)
        return -1;
    for (size_t i = 0; i < list->count; i++) {
        if (compare(upload, rendition, list->segments[i].name, err) < 0)
            return -1;
        /* Reading a long video takes a while: extend the claim meanwhile. */
        session_wait(upload->session, NULL, 0, 0);
    }
    return 0;
}

static int compare_all(struct upload *upload, struct upload_rendition *rendition,
                       const struct lists *lists, struct error *err)
{
    for (size_t i = 0; i < lists->count; i++)
        if (compare_list(upload, rendition, &lists->items[i].list, err) < 0)
            return -1;
    return 0;
}

/* Names, sorted, borrowed: searched once for every file of a long video. */
struct names {
    const char **items;
    size_t count;
};

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static void names_add(struct names *names, const char *name)
{
    if (name)
        names->items[names->count++] = name;
}

static void names_cleanup(struct names *names)
{
    free(names->items);
}

static bool names_has(const struct names *names, const char *name)
{
    return names->count &&
           bsearch(&name, names->items, names->count, sizeof *names->items, compare_names) != NULL;
}

static struct names names_of_json(const struct json *array)
{
    int count = json_count(array);
    struct names names = {.items = must_calloc((size_t)count + 1, sizeof *names.items)};
    for (int i = 0; i < count; i++)
        names_add(&names, json_text(json_at(array, i)));
    qsort(names.items, names.count, sizeof *names.items, compare_names);
    return names;
}

static struct names names_of_lists(const struct lists *lists)
{
    struct names names = {.items = must_calloc(lists_count_files(lists), sizeof *names.items)};
    for (size_t i = 0; i < lists->count; i++) {
        const struct playlist *list = &lists->items[i].list;
        names_add(&names, list->init);
        for (size_t j = 0; j < list->count; j++)
            names_add(&names, list->segments[j].name);
    }
    qsort(names.items, names.count, sizeof *names.items, compare_names);
    return names;
}

/* What the server says it has; a list that cannot be read means that it has nothing. */
static void believe_status(struct upload_rendition *rendition, const struct http_answer *answer)
{
    struct error ignored;
    JSON(root) = json_parse(answer->body, answer->body_size, &ignored);
    CLEANUP(names_cleanup)
    struct names names = names_of_json(json_get(root, "received_segments"));
    for (size_t i = 0; i < rendition->count; i++)
        if (rendition->files[i].uploaded && !names_has(&names, rendition->files[i].name))
            upload_file_undone(rendition, &rendition->files[i]);
}

static int ask_status(struct upload *upload, struct upload_rendition *rendition, struct error *err)
{
    if (rendition->uploaded == 0)
        return 0;
    TEXT(path) = must_printf("/api/worker/upload/%lld/segments/status?quality=%s",
                             (long long)upload->session->claim.claim.video_id,
                             tailslate_quality_name(rendition->quality));
    struct http_request request = http_get(path);
    struct reply reply;
    if (session_retry_until_ok(upload->session, &request, &reply) < 0)
        return lost(err);
    believe_status(rendition, &reply.answer);
    session_reply_fini(&reply);
    return 0;
}

static int send_missing(struct upload *upload, struct upload_rendition *rendition,
                        size_t file_count, struct error *err)
{
    for (size_t i = 0; i < rendition->count; i++) {
        struct upload_file *file = &rendition->files[i];
        if (file->uploaded || !upload_is_segment_name(file->name))
            continue;
        if (upload_file_until_ok(upload, rendition->quality, file->name, err) < 0)
            return -1;
        upload_file_done(rendition, file, upload->sha);
        upload_report(upload, rendition, QUALITY_STATUS_UPLOADING,
                      (int64_t)(rendition->uploaded * 100 / (file_count + 1)));
        upload_write_records(upload, false);
    }
    return 0;
}

/* Names in no playlist are not part of the rendition (files of an earlier run). */
static void drop_unlisted(struct upload_rendition *rendition, const struct lists *lists)
{
    size_t retained = 0;
    CLEANUP(names_cleanup) struct names names = names_of_lists(lists);
    for (size_t i = 0; i < rendition->count; i++) {
        struct upload_file *file = &rendition->files[i];
        if (names_has(&names, file->name)) {
            rendition->files[retained++] = *file;
            continue;
        }
        rendition->uploaded -= file->uploaded;
        free(file->name);
    }
    rendition->count = retained;
}

/* 1: the server lacks something, named in the answer. */
static int read_finalized(struct upload_rendition *rendition, const struct http_answer *answer)
{
    struct error ignored;
    bool complete = false;
    JSON(root) = json_parse(answer->body, answer->body_size, &ignored);
    if (json_get_bool(root, "complete", &complete) == JSON_FOUND && complete)
        return 0;
    CLEANUP(names_cleanup)
    struct names names = names_of_json(json_get(root, "missing_segments"));
    bool named = false;
    for (size_t i = 0; i < rendition->count; i++)
        if (names_has(&names, rendition->files[i].name)) {
            upload_file_undone(rendition, &rendition->files[i]);
            named = true;
        }
    /* It lacks something that it cannot name: upload everything again. */
    for (size_t i = 0; i < rendition->count && !named; i++)
        upload_file_undone(rendition, &rendition->files[i]);
    return 1;
}

static int finalize_rendition(struct upload *upload, struct upload_rendition *rendition,
                              const struct playlist *list, struct error *err)
{
    TEXT(path) = must_printf("/api/worker/upload/%lld/segment/finalize",
                             (long long)upload->session->claim.claim.video_id);
    JSON(root) = json_new_object();
    json_set_text(root, "quality", tailslate_quality_name(rendition->quality));
    json_set_int(root, "segment_count", (int64_t)list->count + 1);
    /* upload_file_until_ok has set the playlist's own hash. */
    TEXT(checksum) = must_printf("sha256:%s", upload->sha);
    json_set_text(root, "manifest_checksum", checksum);
    TEXT(body) = json_print(root);
    struct http_request request = http_post(path, body);
    struct reply reply;
    if (session_retry_until_ok(upload->session, &request, &reply) < 0)
        return lost(err);
    int missing = read_finalized(rendition, &reply.answer);
    session_reply_fini(&reply);
    return missing;
}

/* The files that a playlist lists are uploaded before it. The rendition's own comes last, and its
 * hash is kept for the finalize. */
static int send_playlists(struct upload *upload, struct upload_rendition *rendition,
                          const struct lists *lists, struct error *err)
{
    for (size_t i = lists->count; i-- > 0;)
        if (upload_file_until_ok(upload, rendition->quality, lists->items[i].name, err) < 0)
            return -1;
    return 0;
}

static int finish_listed(struct upload *upload, struct upload_rendition *rendition,
                         const struct lists *lists, struct error *err)
{
    drop_unlisted(rendition, lists);
    if (compare_all(upload, rendition, lists, err) < 0 || ask_status(upload, rendition, err) < 0)
        return -1;
    for (unsigned attempt = 0;; attempt++) {
        if (send_missing(upload, rendition, lists_count_files(lists), err) < 0 ||
            send_playlists(upload, rendition, lists, err) < 0)
            return -1;
        int missing = finalize_rendition(upload, rendition, &lists->items[0].list, err);
        if (missing <= 0)
            return missing;
        log_warning("step.upload_incomplete",
                    LOG_TEXT("quality", tailslate_quality_name(rendition->quality)),
                    LOG_INT("attempt", attempt + 1));
        struct http_answer none = {.retry_after_ms = -1};
        struct session_pause pause = session_pause_after(upload->session, VERDICT_RETRY, attempt,
                                                         &none);
        session_wait_backoff(upload->session, &pause);
    }
}

int upload_finish(struct upload *upload, enum tailslate_quality quality, struct error *err)
{
    struct upload_rendition *rendition = &upload->renditions[quality];
    CLEANUP(lists_cleanup) struct lists lists = {.count = 0};
    FD(fd) = upload_open_file(upload, quality, LADDER_PLAYLIST, err);
    if (fd < 0)
        return -1;
    FD(directory) = openat(upload->output, tailslate_quality_name(quality),
                           O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (lists_read(&lists, directory, err) < 0)
        return -1;
    upload_drop_call(upload);
    if (finish_listed(upload, rendition, &lists, err) < 0 || upload_alias(upload, quality, err) < 0)
        return -1;
    upload_report(upload, rendition, QUALITY_STATUS_UPLOADED, 100);
    struct error ignored;
    (void)upload_record_write(upload->session->dir, rendition, &ignored);
    crash_point(CRASH_STEP_RENDITION_FINALIZED);
    return 0;
}
