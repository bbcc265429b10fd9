#include "verifier/http/routes_files.h"

#include "base/log.h"
#include "lib/cleanup.h"
#include "verifier/base/counters.h"
#include "verifier/base/range.h"
#include "verifier/files/upload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Strong: changes with the file, its size and its modification time. */
static void make_etag(const struct stat *status, char etag[96])
{
    snprintf(etag, 96, "\"%llx-%llx-%llx\"", (unsigned long long)status->st_ino,
             (unsigned long long)status->st_size,
             (unsigned long long)status->st_mtim.tv_sec * 1000000000ull +
                 (unsigned long long)status->st_mtim.tv_nsec);
}

static void send_source(struct request *request, struct answer *answer, int fd,
                        const struct stat *status)
{
    char etag[96];
    struct range range;
    make_etag(status, etag);
    const char *header = request_header(request, "Range");
    const char *if_range = request_header(request, "If-Range");
    if (if_range && strcmp(if_range, etag) != 0)
        header = NULL; /* the source has changed: send all of it */

    answer_add_header(answer, "ETag", "%s", etag);
    answer_add_header(answer, "Accept-Ranges", "bytes");
    switch (range_parse(header, status->st_size, &range)) {
    case RANGE_WHOLE:
        return answer_file(answer, fd, 200, 0, status->st_size);
    case RANGE_PART:
        answer_add_header(answer, "Content-Range", "bytes %lld-%lld/%lld", (long long)range.first,
                          (long long)(range.first + range.length - 1), (long long)status->st_size);
        return answer_file(answer, fd, 206, range.first, range.length);
    case RANGE_UNSATISFIABLE:
        answer_add_header(answer, "Content-Range", "bytes */%lld", (long long)status->st_size);
        close(fd);
        return answer_problem(answer, TAILSLATE_PROBLEM_RANGE, NULL);
    }
}

void route_source(struct request *request, struct answer *answer)
{
    enum tailslate_standing standing;
    struct store_job job;
    struct error err;
    if (!route_read_job(request, answer, &standing, &job))
        return;
    struct stat status;
    FD(fd) = files_open_source(request->app->files, request->number, &err);
    if (fd < 0 && err.code == ENOENT)
        return answer_problem(answer, TAILSLATE_PROBLEM_NOT_FOUND,
                              "There is no source file for this video.");
    if (fd < 0)
        return answer_error(answer, request, &err);
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        return answer_problem(answer, TAILSLATE_PROBLEM_NOT_FOUND,
                              "The source is not a regular file.");
    send_source(request, answer, steal_fd(&fd), &status);
}

/* A client that has gone sends its file again, and that one may be another by then: what it left
 * behind on its way, before a slow server or in one, must not come last. Asked under the lock of
 * the job's row, so that no later upload is overtaken. */
static int check_client(const struct request *request, struct error *err)
{
    if (!request_client_is_gone(request))
        return 0;
    return error_set(err, ERROR_TEMPORARY, ECANCELED,
                     "the client closed the connection before its upload was in place");
}

static void answer_upload_error(struct answer *answer, const struct request *request,
                                const struct error *err)
{
    if (err->code != ECANCELED)
        return answer_error(answer, request, err);
    log_info("upload.abandoned", LOG_TEXT("request_id", request->id),
             LOG_TEXT("path", request->path), LOG_TEXT("worker", request->worker.worker_id));
    answer_problem(answer, TAILSLATE_PROBLEM_STORE_UNAVAILABLE, err->message);
}

struct segment_request {
    const struct request *request;
    struct segment_upload upload;
    struct store_job job;
    char expected[HASH_HEX_BYTES];
};

static void free_segment(void *scratch)
{
    struct segment_request *segment = scratch;
    segment_upload_end(&segment->upload);
    free(segment);
}

void route_segment_open(struct request *request, struct answer *answer)
{
    char expected[HASH_HEX_BYTES];
    enum tailslate_standing standing;
    struct store_job job;
    struct error err;
    if (segment_kind_of(request->name) == SEGMENT_REFUSED)
        return answer_problem(
            answer, TAILSLATE_PROBLEM_INVALID_FIELD,
            "The file name is not accepted (.ts .m4s .mp4 .m3u8 .mpd, captions.vtt are).");
    if (!route_parse_checksum(request_header(request, "X-Content-SHA256"), expected))
        return answer_problem(answer, TAILSLATE_PROBLEM_INVALID_FIELD,
                              "X-Content-SHA256: the SHA-256 of the body is required.");
    if (!route_read_job(request, answer, &standing, &job))
        return;
    struct segment_request *segment = must_calloc(1, sizeof *segment);
    request->scratch = segment;
    segment->request = request;
    request->free_scratch = free_segment;
    segment->job = job;
    memcpy(segment->expected, expected, sizeof expected);
    if (segment_upload_begin(request->app->files, job.slug, request->quality, request->name,
                             &segment->upload, &err) != 0)
        return answer_error(answer, request, &err);
    request->body_fd = segment->upload.fd;
}

static int publish_segment(void *ctx, struct error *err)
{
    struct segment_request *segment = ctx;
    if (check_client(segment->request, err) != 0)
        return -1;
    return segment_upload_publish(&segment->upload, err);
}

static int confirm_segment(void *ctx, struct error *err)
{
    const struct segment_request *segment = ctx;
    return segment_upload_confirm(&segment->upload, err);
}

static void answer_segment(struct request *request, struct answer *answer, bool written)
{
    struct json *root = json_new_object();
    json_set_text(root, "status", "ok");
    json_set_bool(root, "written", written);
    json_set_int(root, "bytes_written", request->streamed_bytes); /* also if it was there already */
    json_set_bool(root, "checksum_verified", true);
    answer_object(answer, root);
    count(COUNT_UPLOADS, 1);
    count(COUNT_UPLOAD_BYTES, request->streamed_bytes);
}

void route_segment(struct request *request, struct answer *answer)
{
    struct segment_request *segment = request->scratch;
    struct store_caller caller = route_caller(request);
    enum tailslate_standing standing;
    struct error err;
    char hex[HASH_HEX_BYTES];
    hash_hex(request->body_hash, hex);
    if (strcmp(hex, segment->expected) != 0)
        return answer_problem(answer, TAILSLATE_PROBLEM_INVALID_FIELD,
                              "X-Content-SHA256: the received body has a different checksum.");
    if (!segment_upload_fits(&segment->upload, request->streamed_bytes))
        return answer_problem(answer, TAILSLATE_PROBLEM_INVALID_FIELD,
                              "The content does not match the file's extension.");
    bool there = segment_upload_is_there(&segment->upload, hex, request->streamed_bytes);
    /* fsync is slow, so it happens before the lock is taken. */
    if (!there && segment_upload_sync(&segment->upload, &err) != 0)
        return answer_error(answer, request, &err);
    if (store_upload(request->app->store, &caller, segment->job.id,
                     there ? confirm_segment : publish_segment, segment, &standing, &err) != 0)
        return answer_upload_error(answer, request, &err);
    enum tailslate_problem problem = tailslate_verify_standing_problem(standing);
    if (problem != TAILSLATE_PROBLEM_NONE && !(there && standing == TAILSLATE_STANDING_COMPLETED))
        return answer_problem(answer, problem, NULL);
    answer_segment(request, answer, !there);
}

struct tar_request {
    const struct request *request;
    struct tar_upload upload;
    struct store_job job;
};

static void free_tar(void *scratch)
{
    struct tar_request *tar = scratch;
    tar_upload_end(&tar->upload);
    free(tar);
}

void route_tar_open(struct request *request, struct answer *answer)
{
    enum tailslate_standing standing;
    struct store_job job;
    struct error err;
    if (!route_read_job(request, answer, &standing, &job))
        return;
    if (standing == TAILSLATE_STANDING_COMPLETED)
        return answer_problem(answer, TAILSLATE_PROBLEM_CLAIM_LOST, NULL);
    struct tar_request *tar = must_calloc(1, sizeof *tar);
    request->scratch = tar;
    tar->request = request;
    request->free_scratch = free_tar;
    tar->job = job;
    if (tar_upload_begin(request->app->files, job.slug, &tar->upload, &err) != 0)
        return answer_error(answer, request, &err);
    tar->upload.quality = request->quality;
    request->body_fd = tar->upload.fd;
}

static int publish_tar(void *ctx, struct error *err)
{
    struct tar_request *tar = ctx;
    return check_client(tar->request, err) == 0 ? tar_upload_publish(&tar->upload, err) : -1;
}

static void take_tar(struct request *request, struct answer *answer, bool is_final)
{
    struct tar_request *tar = request->scratch;
    struct store_caller caller = route_caller(request);
    enum tailslate_standing standing;
    struct error err;
    tar->upload.is_final = is_final;
    if (request->streamed_bytes == 0)
        return answer_problem(answer, TAILSLATE_PROBLEM_INVALID_FIELD,
                              "The form has no field `file`, or it is empty.");
    if (tar_upload_unpack(&tar->upload, &err) != 0) {
        if (err.code == EINVAL)
            return answer_problem(answer, TAILSLATE_PROBLEM_INVALID_FIELD, err.message);
        if (err.code == EFBIG)
            return answer_problem(answer, TAILSLATE_PROBLEM_PAYLOAD_TOO_LARGE, err.message);
        return answer_error(answer, request, &err);
    }
    if (store_upload(request->app->store, &caller, tar->job.id, publish_tar, tar, &standing,
                     &err) != 0)
        return answer_upload_error(answer, request, &err);
    enum tailslate_problem problem = tailslate_verify_standing_problem(standing);
    if (problem != TAILSLATE_PROBLEM_NONE)
        return answer_problem(answer, problem, NULL);
    struct json *root = json_new_object();
    json_set_text(root, "status", "ok");
    json_set_text(root, "message", "Uploaded");
    answer_object(answer, root);
    count(COUNT_UPLOADS, 1);
    count(COUNT_UPLOAD_BYTES, request->streamed_bytes);
}

void route_quality_tar(struct request *request, struct answer *answer)
{
    take_tar(request, answer, false);
}

void route_finalize_tar(struct request *request, struct answer *answer)
{
    take_tar(request, answer, true);
}
