#include "agent/step/upload.h"

#include "agent/step/upload_record.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "lib/cleanup.h"
#include "lib/durable.h"
#include "lib/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

enum { EVENTS_BYTES = 16 * 1024, WAIT_MS = 1000 };

/* ---- open and close -------------------------------------------------------------------------- */

static void init(struct upload *upload, struct session *session)
{
    *upload = (struct upload){
        .session = session, .output = -1, .inotify = -1, .root_watch = -1, .fd = -1};
    for (enum tailslate_quality quality = 0; quality < TAILSLATE_QUALITY_COUNT; quality++) {
        upload->renditions[quality].quality = quality;
        upload->renditions[quality].watch = -1;
    }
}

int upload_open(struct upload *upload, struct session *session, struct error *err)
{
    init(upload, session);
    upload->output = openat(session->dir, RECORD_OUTPUT,
                            O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (upload->output < 0)
        return error_errno(err, "%s", RECORD_OUTPUT);
    for (enum tailslate_quality quality = 0; quality < TAILSLATE_QUALITY_COUNT; quality++)
        if (upload_record_read(session->dir, &upload->renditions[quality], err) < 0)
            return -1;
    return 0;
}

int upload_forget(struct upload *upload, enum tailslate_quality quality, struct error *err)
{
    return upload_record_forget(upload->session->dir, &upload->renditions[quality], err);
}

void upload_write_records(struct upload *upload, bool all)
{
    int64_t now = mono_ms();
    for (enum tailslate_quality quality = 0; quality < TAILSLATE_QUALITY_COUNT; quality++) {
        struct upload_rendition *rendition = &upload->renditions[quality];
        struct error err;
        if (!rendition->changed || (!all && now < rendition->written_ms + UPLOAD_WRITE_MS))
            continue;
        /* An outdated list only costs bandwidth; a full disk is noticed elsewhere. */
        if (upload_record_write(upload->session->dir, rendition, &err) < 0)
            log_warning("step.upload_record_not_written", LOG_TEXT("reason", err.message));
    }
}

void upload_drop_call(struct upload *upload)
{
    if (upload->call && !upload->reply.done)
        http_cancel(upload->call);
    session_reply_fini(&upload->reply);
    upload->call = NULL;
    cleanup_fd(&upload->fd);
    upload->fd = -1;
}

void upload_close(struct upload *upload)
{
    upload_drop_call(upload);
    if (upload->output >= 0)
        upload_write_records(upload, true);
    for (enum tailslate_quality quality = 0; quality < TAILSLATE_QUALITY_COUNT; quality++)
        upload_record_fini(&upload->renditions[quality]);
    cleanup_fd(&upload->output);
    cleanup_fd(&upload->inotify);
    upload->output = upload->inotify = -1;
}

/* ---- one file -------------------------------------------------------------------------------- */

int upload_open_file(const struct upload *upload, enum tailslate_quality quality, const char *name,
                     struct error *err)
{
    FD(directory) = openat(upload->output, tailslate_quality_name(quality),
                           O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (directory < 0)
        return error_errno(err, "%s", tailslate_quality_name(quality));
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? error_errno(err, "%s/%s", tailslate_quality_name(quality), name) : fd;
}

static void start_file(struct upload *upload, enum tailslate_quality quality, const char *name,
                       int64_t size)
{
    TEXT(escaped) = http_escape(name);
    TEXT(path) = must_printf("/api/worker/upload/%lld/segment/%s/%s",
                             (long long)upload->session->claim.claim.video_id,
                             tailslate_quality_name(quality), escaped);
    TEXT(header) = must_printf("X-Content-SHA256: sha256:%s", upload->sha);
    struct http_request request = http_post(path, NULL);
    request.headers[0] = header;
    request.body_fd = upload->fd;
    request.body_fd_size = size;
    request.deadline_ms = UPLOAD_DEADLINE_MS;
    request.stall_ms = UPLOAD_STALL_MS;
    upload->call = session_start(upload->session, &request, &upload->reply);
}

/* Opens, hashes and starts. -1: the file is invalid. */
int upload_send_file(struct upload *upload, enum tailslate_quality quality, const char *name,
                     struct error *err)
{
    int64_t size;
    upload->fd = upload_open_file(upload, quality, name, err);
    if (upload->fd < 0)
        return -1;
    if (hash_file(upload->fd, upload->sha, &size, err) < 0) {
        upload_drop_call(upload);
        return -1;
    }
    start_file(upload, quality, name, size);
    return 0;
}

/* Handles the reply: what it means, and when the next attempt is due. */
enum verdict upload_settle_call(struct upload *upload)
{
    enum verdict verdict = session_judge(upload->session, &upload->reply.answer, EXPECT_JSON);
    if (verdict == VERDICT_OK) {
        upload->session->upload_attempt = 0;
        session_is_accepted(upload->session);
        upload->session->upload_pause = (struct session_pause){.begun_ms = 0};
    } else {
        upload->session->upload_pause = session_pause_after(
            upload->session, verdict, upload->session->upload_attempt++, &upload->reply.answer);
    }
    upload_drop_call(upload);
    return verdict;
}

int upload_file_until_ok(struct upload *upload, enum tailslate_quality quality, const char *name,
                         struct error *err)
{
    while (upload->session->lost == TAILSLATE_PROBLEM_NONE) {
        session_wait_backoff(upload->session, &upload->session->upload_pause);
        if (upload_send_file(upload, quality, name, err) < 0)
            return -1;
        while (!upload->reply.done)
            session_wait(upload->session, NULL, 0, WAIT_MS);
        if (upload_settle_call(upload) == VERDICT_OK)
            return 0;
    }
    return error_set(err, ERROR_TEMPORARY, ECANCELED, "the claim is lost");
}

/* ---- while the transcoder runs --------------------------------------------------------------- */

static void watch_rendition(struct upload *upload, enum tailslate_quality quality)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d/%s", upload->output,
             tailslate_quality_name(quality));
    if (upload->renditions[quality].watch < 0)
        upload->renditions[quality].watch = inotify_add_watch(
            upload->inotify, path, IN_CLOSE_WRITE | IN_MOVED_TO | IN_ONLYDIR | IN_DONT_FOLLOW);
}

int upload_watch(struct upload *upload, struct error *err)
{
    char path[64];
    upload->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (upload->inotify < 0)
        return error_errno(err, "inotify");
    snprintf(path, sizeof path, "/proc/self/fd/%d", upload->output);
    upload->root_watch = inotify_add_watch(upload->inotify, path,
                                           IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
    if (upload->root_watch < 0)
        return error_errno(err, "inotify");
    for (enum tailslate_quality quality = 0; quality < TAILSLATE_QUALITY_COUNT; quality++)
        if (durable_exists(upload->output, tailslate_quality_name(quality)))
            watch_rendition(upload, quality);
    return 0;
}

static void take_event(struct upload *upload, const struct inotify_event *event)
{
    enum tailslate_quality quality;
    if (event->len == 0)
        return;
    if (event->wd == upload->root_watch) {
        if ((event->mask & IN_ISDIR) && tailslate_quality_parse(event->name, &quality))
            watch_rendition(upload, quality);
        return;
    }
    for (quality = 0; quality < TAILSLATE_QUALITY_COUNT; quality++)
        if (upload->renditions[quality].watch == event->wd && upload_is_segment_name(event->name))
            upload_file_get(&upload->renditions[quality], event->name);
}

/* An overflow loses names; upload_finish finds them in the playlist. */
void upload_collect(struct upload *upload)
{
    _Alignas(struct inotify_event) char events[EVENTS_BYTES];
    ssize_t size;
    while ((size = read(upload->inotify, events, sizeof events)) > 0) {
        for (ssize_t at = 0; at < size;) {
            const struct inotify_event *event = (const void *)(events + at);
            take_event(upload, event);
            at += (ssize_t)(sizeof *event + event->len);
        }
    }
}

void upload_report(struct upload *upload, const struct upload_rendition *rendition,
                   enum quality_status status, int64_t percent)
{
    session_report_quality(upload->session, rendition->quality, status, percent,
                           (int64_t)rendition->uploaded);
}

static void settle_tick(struct upload *upload)
{
    struct upload_rendition *rendition = upload->rendition;
    if (upload_settle_call(upload) != VERDICT_OK)
        return;
    upload_file_done(rendition, &rendition->files[upload->index], upload->sha);
    rendition->next = upload->index + 1;
    int64_t percent = upload->session->progress.progress.percent;
    upload_report(upload, rendition, QUALITY_STATUS_IN_PROGRESS, percent < 0 ? 0 : percent);
    crash_point(CRASH_STEP_SEGMENT_UPLOADED);
}

/* The rendition that is furthest behind is next. */
static struct upload_rendition *pick(struct upload *upload)
{
    struct upload_rendition *picked = NULL;
    for (enum tailslate_quality quality = 0; quality < TAILSLATE_QUALITY_COUNT; quality++) {
        struct upload_rendition *rendition = &upload->renditions[quality];
        if (rendition->next < rendition->count && (!picked || rendition->next < picked->next))
            picked = rendition;
    }
    return picked;
}

void upload_tick(struct upload *upload)
{
    if (upload->call && !upload->reply.done)
        return;
    if (upload->call)
        settle_tick(upload);
    upload_write_records(upload, false);
    if (upload->session->lost != TAILSLATE_PROBLEM_NONE ||
        mono_ms() < session_pause_end_ms(upload->session, &upload->session->upload_pause))
        return;
    struct upload_rendition *rendition = pick(upload);
    struct error ignored;
    if (!rendition)
        return;
    upload->rendition = rendition;
    upload->index = rendition->next;
    /* Files that an earlier run sent, or that cannot be read now, are handled afterwards. */
    if (rendition->files[upload->index].uploaded ||
        upload_send_file(upload, rendition->quality, rendition->files[upload->index].name,
                         &ignored) < 0)
        rendition->next++;
}
