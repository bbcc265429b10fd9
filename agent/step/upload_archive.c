#include "agent/step/upload_archive.h"

#include "agent/media/ladder.h"
#include "base/archive.h"
#include "base/log.h"
#include "base/playlist.h"
#include "lib/cleanup.h"
#include "lib/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { TRIES_MAX = 3, NAME_BYTES = 32 };

/* ---- playlists under other names ------------------------------------------------------------- */

static void put_line(FILE *out, const char *line, size_t size, const char *home)
{
    static const char map[] = "#EXT-X-MAP:URI=\"";
    size_t tag = size > strlen(map) && strncmp(line, map, strlen(map)) == 0 ? strlen(map) : 0;
    bool is_file = tag > 0 || (size > 0 && line[0] != '#');
    fprintf(out, "%.*s%s%s%.*s\n", (int)tag, line, is_file ? home : "", is_file ? "/" : "",
            (int)(size - tag), line + tag);
}

char *upload_alias_text(const char *playlist, const char *home)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    must(out);
    while (*playlist) {
        size_t length = strcspn(playlist, "\n");
        put_line(out, playlist, length, home);
        playlist += length + (playlist[length] == '\n');
    }
    must(!ferror(out));
    must(fclose(out) == 0);
    return text;
}

static int write_alias(int directory, const char *name, const char *home, struct error *err)
{
    TEXT(playlist) = NULL;
    size_t size;
    if (durable_read(directory, LADDER_PLAYLIST, PLAYLIST_MAX_BYTES, &playlist, &size, err) < 0)
        return -1;
    TEXT(text) = upload_alias_text(playlist, home);
    return durable_write(directory, name, text, strlen(text), err);
}

/* False: not sent this time, the time limit has passed. */
static bool post_archive(struct upload *upload, enum tailslate_quality quality, int archive,
                         int64_t size, unsigned attempt)
{
    TEXT(path) = must_printf("/api/worker/upload/%lld/quality/%s",
                             (long long)upload->session->claim.claim.video_id,
                             tailslate_quality_name(quality));
    struct http_request request = http_post(path, NULL);
    struct reply reply;
    request.body_fd = archive;
    request.body_fd_size = size;
    request.multipart_name = "playlist.tar.gz";
    request.deadline_ms = UPLOAD_DEADLINE_MS;
    request.stall_ms = UPLOAD_STALL_MS;
    session_perform(upload->session, &request, &reply);
    enum verdict verdict = session_judge(upload->session, &reply.answer, EXPECT_JSON);
    struct session_pause pause = session_pause_after(upload->session, verdict, attempt,
                                                     &reply.answer);
    session_reply_fini(&reply);
    if (verdict != VERDICT_OK)
        session_wait_backoff(upload->session, &pause);
    return verdict == VERDICT_OK;
}

/* A stock server puts single files in the rendition's directory, but unpacks an archive beside it.
 * Nothing uses this name until a stock worker writes it, so no job waits long for it. */
static int send_packed(struct upload *upload, enum tailslate_quality quality, int directory,
                       const char *name, struct error *err)
{
    struct stat status;
    FD(archive) = memfd_create("playlist", MFD_CLOEXEC);
    if (archive < 0)
        return error_errno(err, "cannot write a temporary file");
    if (archive_pack(directory, &name, 1, archive, err) < 0)
        return -1;
    if (fstat(archive, &status) < 0)
        return error_errno(err, "cannot write a temporary file");
    for (unsigned attempt = 0; attempt < TRIES_MAX; attempt++) {
        if (post_archive(upload, quality, archive, status.st_size, attempt))
            return 0;
        if (upload->session->lost != TAILSLATE_PROBLEM_NONE)
            return error_set(err, ERROR_TEMPORARY, ECANCELED, "the claim is lost");
    }
    log_warning("step.alias_not_sent", LOG_TEXT("name", name));
    return 0;
}

int upload_alias(struct upload *upload, enum tailslate_quality quality, struct error *err)
{
    char name[NAME_BYTES];
    const char *home = tailslate_quality_name(quality);
    snprintf(name, sizeof name, "%s.m3u8", home);
    FD(directory) = openat(upload->output, home, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (directory < 0)
        return error_errno(err, "%s", home);
    if (write_alias(directory, name, home, err) < 0)
        return -1;
    if (upload->session->claim.claim.claim_epoch == TAILSLATE_ABSENT_INT)
        return send_packed(upload, quality, directory, name, err);
    return upload_file_until_ok(upload, quality, name, err);
}

/* ---- manifests and thumbnail ----------------------------------------------------------------- */

static int send_archive(struct upload *upload, int archive, int64_t size, struct error *err)
{
    TEXT(path) = must_printf("/api/worker/upload/%lld/finalize",
                             (long long)upload->session->claim.claim.video_id);
    struct http_request request = http_post(path, NULL);
    struct reply reply;
    request.body_fd = archive;
    request.body_fd_size = size;
    request.multipart_name = "manifests.tar.gz";
    request.deadline_ms = UPLOAD_DEADLINE_MS;
    request.stall_ms = UPLOAD_STALL_MS;
    if (session_retry_until_ok(upload->session, &request, &reply) < 0)
        return error_set(err, ERROR_TEMPORARY, ECANCELED, "the claim is lost");
    session_reply_fini(&reply);
    return 0;
}

int upload_finalize(struct upload *upload, struct error *err)
{
    const char *const all[] = {"master.m3u8", "manifest.mpd", LADDER_THUMBNAIL};
    const char *names[sizeof all / sizeof all[0]];
    size_t count = 0;
    struct stat status;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (durable_exists(upload->output, all[i]))
            names[count++] = all[i];
    if (count == 0)
        return 0;
    /* In memory: it is small, and not every file system supports unnamed files. */
    FD(archive) = memfd_create("manifests", MFD_CLOEXEC);
    if (archive < 0)
        return error_errno(err, "cannot write a temporary file");
    if (archive_pack(upload->output, names, count, archive, err) < 0)
        return -1;
    if (fstat(archive, &status) < 0)
        return error_errno(err, "cannot write a temporary file");
    return send_archive(upload, archive, status.st_size, err);
}
