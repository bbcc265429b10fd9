#include "agent/step/fetch.h"

#include "agent/api/session.h"
#include "agent/step/disk.h"
#include "base/crash.h"
#include "base/log.h"
#include "lib/cleanup.h"
#include "lib/durable.h"
#include "lib/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PART_FILE "source.part"
#define NOTE_FILE "source.json"

enum {
    DEADLINE_MS = 24 * 3600 * 1000, /* for one attempt: the next one resumes there */
    STALL_MS = 60 * 1000,
    NOTE_MAX_BYTES = 4096,
    ETAG_BYTES = 128,
    WAIT_MS = 1000,
    MISSING_MAX = 3, /* consecutive times that a stock server says: there is no such source */
    WRITE_BACK_BYTES = 32 * 1024 * 1024,
    OUTPUT_PERCENT = 100, /* the output is at most about as large as the source */
    PERCENT_MAX = 10,     /* the download's share of the job's progress */
    BLOCK_BYTES = 512,    /* st_blocks counts in these */
    /* If the source's size is unknown, this much space ahead is required. */
    UNSIZED_AHEAD_BYTES = WRITE_BACK_BYTES,
    UNSIZED_FACTOR = 2, /* if it did not fit: required space as a multiple of what has arrived */
};

struct fetch {
    struct session *session;
    int part;
    int64_t offset;        /* where this attempt started */
    int64_t size;          /* of the whole source; -1 = unknown */
    char etag[ETAG_BYTES]; /* "" = unknown: the part cannot be resumed */
    char path[64], range[64], if_range[ETAG_BYTES + 16];
    unsigned missing;     /* consecutive 404s */
    int64_t written_back; /* how much of the part is being written to disk */
    int64_t lacking;      /* bytes that do not fit on this disk; 0: it fits */
    bool is_fitted;       /* this attempt fits */
    int64_t fitted_until; /* how much of a source without a size fits */
    bool is_too_large;    /* no size, so its own limit applies */
    bool is_other;        /* the answer is not the rest of our part */
    struct error local;   /* the note could not be written */
    bool has_failed;
};

/* ---- the note: what the part belongs to ------------------------------------------------------ */

static void read_note(struct fetch *fetch)
{
    TEXT(text) = NULL;
    size_t size;
    const char *etag;
    struct error ignored;
    fetch->size = -1;
    fetch->etag[0] = '\0';
    /* Without a readable note the part is useless; nothing else is lost. */
    if (durable_read(fetch->session->dir, NOTE_FILE, NOTE_MAX_BYTES, &text, &size, &ignored) < 0)
        return;
    JSON(root) = json_parse(text, size, &ignored);
    if (json_get_int(root, "size", 1, INT64_C(1) << 52, &fetch->size) != JSON_FOUND ||
        json_get_text(root, "etag", ETAG_BYTES - 1, &etag) != JSON_FOUND)
        return;
    snprintf(fetch->etag, sizeof fetch->etag, "%s", etag);
}

static int write_note(struct fetch *fetch)
{
    JSON(root) = json_new_object();
    json_set_text(root, "etag", fetch->etag);
    json_set_int(root, "size", fetch->size);
    TEXT(text) = json_print(root);
    return durable_write(fetch->session->dir, NOTE_FILE, text, strlen(text), &fetch->local);
}

/* ---- one attempt ----------------------------------------------------------------------------- */

static void report(struct fetch *fetch, int64_t have)
{
    if (fetch->size > 0)
        session_report(fetch->session, WORK_DOWNLOAD, have * PERCENT_MAX / fetch->size);
}

/* The disk space needed for the rest of the source and for the output. */
static int64_t needed_bytes(const struct fetch *fetch)
{
    struct stat status;
    int64_t taken = fstat(fetch->part, &status) == 0 ? (int64_t)status.st_blocks * BLOCK_BYTES : 0;
    int64_t rest = taken < fetch->size ? fetch->size - taken : 0;
    return rest + fetch->size / 100 * OUTPUT_PERCENT;
}

static bool has_space(const struct fetch *fetch, int64_t needed)
{
    int64_t free_bytes;
    struct error ignored; /* if the disk reports nothing, the transfer itself will fail */
    if (disk_free_bytes(fetch->session->dir, &free_bytes, &ignored) != 0)
        return true;
    double reserve = fetch->session->config->node.min_free_disk_gb * 1e9;
    return free_bytes - (int64_t)reserve >= needed;
}

static bool fits(const struct fetch *fetch)
{
    return has_space(fetch, needed_bytes(fetch));
}

static int64_t with_output(int64_t source_bytes)
{
    return source_bytes + source_bytes / 100 * OUTPUT_PERCENT;
}

/* The server does not state the size: check while the file grows. */
static bool may_grow(struct fetch *fetch, int64_t have)
{
    double limit = fetch->session->config->limits.unsized_source_gb * 1e9;
    fetch->is_too_large = limit > 0 && (double)have > limit;
    if (fetch->is_too_large)
        return false;
    if (have < fetch->fitted_until)
        return true;
    fetch->fitted_until = have + UNSIZED_AHEAD_BYTES;
    if (has_space(fetch, with_output(fetch->fitted_until) - have))
        return true;
    fetch->lacking = with_output(fetch->fitted_until) * UNSIZED_FACTOR;
    return false;
}

/* Allocated at once, so that the steps of other slots do not count on it. On a file system that
 * cannot allocate they notice later. False: the space was taken in the meantime. */
static bool take_space(const struct fetch *fetch)
{
    return fallocate(fetch->part, FALLOC_FL_KEEP_SIZE, 0, fetch->size) == 0 || errno != ENOSPC;
}

/* Writes to disk while the rest arrives, with at most two dirty slices: otherwise the fsync at the
 * end of a huge source would take minutes during which nothing extends the claim. */
static void write_back(struct fetch *fetch, int64_t have)
{
    while (have - fetch->written_back >= WRITE_BACK_BYTES) {
        off_t at = fetch->written_back;
        (void)sync_file_range(fetch->part, at, WRITE_BACK_BYTES, SYNC_FILE_RANGE_WRITE);
        if (at >= WRITE_BACK_BYTES)
            (void)sync_file_range(fetch->part, at - WRITE_BACK_BYTES, WRITE_BACK_BYTES,
                                  SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                                      SYNC_FILE_RANGE_WAIT_AFTER);
        fetch->written_back += WRITE_BACK_BYTES;
    }
}

static bool on_bytes(void *ctx, int64_t received, int64_t total)
{
    struct fetch *fetch = ctx;
    if (total < 0) {
        write_back(fetch, fetch->offset + received);
        return may_grow(fetch, fetch->offset + received);
    }
    /* The status is not known yet, but Content-Length distinguishes a rest (206) from the whole
     * (200). */
    if (fetch->offset > 0 && fetch->offset + total != fetch->size) {
        fetch->is_other = true;
        return false;
    }
    if (fetch->offset == 0 && fetch->size != total) {
        fetch->size = total;
        if (fetch->etag[0] && write_note(fetch) < 0) {
            fetch->has_failed = true;
            return false;
        }
    }
    if (!fetch->is_fitted && !(fits(fetch) && take_space(fetch))) {
        fetch->lacking = needed_bytes(fetch);
        return false;
    }
    fetch->is_fitted = true;
    write_back(fetch, fetch->offset + received);
    report(fetch, fetch->offset + received);
    crash_point(CRASH_STEP_SOURCE_PARTIAL);
    return true;
}

static int start_over(struct fetch *fetch, struct error *err)
{
    fetch->size = -1;
    if (ftruncate(fetch->part, 0) < 0)
        return error_errno(err, "%s", PART_FILE);
    return 0;
}

static void request_init(struct fetch *fetch, struct http_request *request)
{
    snprintf(fetch->path, sizeof fetch->path, "/api/worker/source/%lld",
             (long long)fetch->session->claim.claim.video_id);
    *request = http_get(fetch->path);
    request->deadline_ms = DEADLINE_MS;
    request->stall_ms = STALL_MS;
}

static bool on_first_byte(void *ctx, int64_t received, int64_t total)
{
    (void)ctx;
    (void)received;
    return total == 1; /* more: a server without ranges sends everything */
}

/* Gets the ETag before the first byte is stored, so that even a part interrupted by a crash can be
 * resumed. Any other answer is handled by the transfer itself. */
static int learn_etag(struct fetch *fetch, struct error *err)
{
    FD(nowhere) = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere < 0)
        return error_errno(err, "/dev/null");
    struct http_request request;
    request_init(fetch, &request);
    request.headers[0] = "Range: bytes=0-0";
    request.sink_fd = nowhere;
    request.on_sink = on_first_byte;
    struct reply reply;
    session_perform(fetch->session, &request, &reply);
    fetch->etag[0] = '\0';
    /* A weak ETag does not guarantee identical bytes. */
    if (reply.answer.reach == TAILSLATE_REACH_ANSWERED && reply.answer.status == 206 &&
        reply.answer.etag[0] == '"')
        snprintf(fetch->etag, sizeof fetch->etag, "%s", reply.answer.etag);
    session_reply_fini(&reply);
    return 0;
}

/* Keeps the part if it can be resumed; otherwise empties it. */
static int prepare(struct fetch *fetch, struct error *err)
{
    struct stat status;
    if (fstat(fetch->part, &status) < 0)
        return error_errno(err, "%s", PART_FILE);
    bool can_resume = fetch->etag[0] && fetch->size > 0 && status.st_size > 0 &&
                      status.st_size < fetch->size;
    fetch->offset = can_resume ? status.st_size : 0;
    if (!can_resume && (start_over(fetch, err) < 0 || learn_etag(fetch, err) < 0))
        return -1;
    if (lseek(fetch->part, fetch->offset, SEEK_SET) < 0)
        return error_errno(err, "%s", PART_FILE);
    return 0;
}

static void transfer(struct fetch *fetch, struct reply *reply)
{
    struct http_request request;
    request_init(fetch, &request);
    if (fetch->offset > 0) {
        snprintf(fetch->range, sizeof fetch->range, "Range: bytes=%lld-", (long long)fetch->offset);
        snprintf(fetch->if_range, sizeof fetch->if_range, "If-Range: %s", fetch->etag);
        request.headers[0] = fetch->range;
        request.headers[1] = fetch->if_range;
    }
    request.sink_fd = fetch->part;
    request.on_sink = on_bytes;
    request.sink_ctx = fetch;
    fetch->is_other = fetch->is_fitted = fetch->is_too_large = false;
    fetch->lacking = fetch->fitted_until = 0;
    fetch->written_back = fetch->offset / WRITE_BACK_BYTES * WRITE_BACK_BYTES;
    session_perform(fetch->session, &request, reply);
}

/* ---- what became of it ----------------------------------------------------------------------- */

static bool is_whole(const struct fetch *fetch, const struct http_answer *answer)
{
    struct stat status;
    if (answer->reach != TAILSLATE_REACH_ANSWERED || fstat(fetch->part, &status) < 0)
        return false;
    if (answer->status != (fetch->offset > 0 ? 206 : 200))
        return false;
    /* Changed between the two calls: the next run would append new bytes to old ones. */
    if (fetch->etag[0] && strcmp(fetch->etag, answer->etag) != 0)
        return false;
    return fetch->size < 0 || status.st_size == fetch->size;
}

static int publish(struct fetch *fetch, struct error *err)
{
    struct stat status;
    if (fstat(fetch->part, &status) < 0)
        return error_errno(err, "%s", PART_FILE);
    if (status.st_size == 0)
        return error_set(err, ERROR_PERMANENT, 0, "the source is empty");
    return durable_publish(fetch->session->dir, fetch->part, PART_FILE, FETCH_SOURCE, err);
}

static int local_failure(const struct fetch *fetch, const struct http_answer *answer,
                         struct error *err)
{
    *err = fetch->has_failed ? fetch->local : answer->error;
    err->class = ERROR_TEMPORARY;
    return error_wrap(err, "fetching the source");
}

/* Another node may allow more. */
static int too_large(const struct fetch *fetch, struct error *err)
{
    return error_set(err, ERROR_TEMPORARY, 0,
                     "the source is larger than %g GB, and the server does not state its size "
                     "(limits.unsized_source_gb)",
                     fetch->session->config->limits.unsized_source_gb);
}

/* A stock server has no code for it; a single one may come from a server that has just started. */
static bool is_missing(struct fetch *fetch, enum verdict verdict, const struct http_answer *answer)
{
    bool is_unknown = http_answer_class(answer) == TAILSLATE_ANSWER_STOCK_JOB_UNKNOWN;
    fetch->missing = is_unknown ? fetch->missing + 1 : 0;
    return verdict == VERDICT_MISSING || fetch->missing >= MISSING_MAX;
}

/* 1: try again; 0: the source is complete; -1: it never will be. */
static int settle(struct fetch *fetch, const struct http_answer *answer, unsigned *attempt,
                  struct error *err)
{
    if (is_whole(fetch, answer)) {
        session_judge(fetch->session, answer, EXPECT_BYTES);
        return publish(fetch, err);
    }
    if (fetch->is_too_large)
        return too_large(fetch, err);
    /* Without a size, the download cannot be resumed: what was received only takes disk space. */
    if (fetch->lacking > 0 && fetch->size < 0 && start_over(fetch, err) < 0)
        return -1;
    if (fetch->lacking > 0)
        return disk_wait(fetch->session, fetch->lacking, err) == 0 ? 1 : -1;
    if (fetch->is_other ||
        (answer->reach == TAILSLATE_REACH_ANSWERED && answer->status / 100 == 2)) {
        log_warning("step.source_changed", LOG_TEXT("etag", fetch->etag));
        if (start_over(fetch, err) < 0)
            return -1;
    } else if (answer->reach == TAILSLATE_REACH_LOCAL_FAILURE) {
        return local_failure(fetch, answer, err);
    }
    enum verdict verdict = session_judge(fetch->session, answer, EXPECT_BYTES);
    if (is_missing(fetch, verdict, answer))
        return error_set(err, ERROR_TEMPORARY, 0, "the source file is not on the server: %s",
                         answer->problem.detail);
    if (verdict == VERDICT_LOST)
        return error_set(err, ERROR_TEMPORARY, ECANCELED, "the claim is lost");
    struct session_pause pause = session_pause_after(fetch->session, verdict, (*attempt)++, answer);
    session_wait_backoff(fetch->session, &pause);
    return 1;
}

static int fetch_whole(struct fetch *fetch, struct error *err)
{
    read_note(fetch);
    int result = 1;
    for (unsigned attempt = 0; result > 0;) {
        if (fetch->session->lost != TAILSLATE_PROBLEM_NONE)
            return error_set(err, ERROR_TEMPORARY, ECANCELED, "the claim is lost");
        if (prepare(fetch, err) < 0)
            return -1;
        struct reply reply;
        struct stat before = {0}, after = {0};
        fstat(fetch->part, &before);
        transfer(fetch, &reply);
        fstat(fetch->part, &after);
        /* Bytes arrived: the connection works, whatever interrupted it. */
        if (after.st_size > before.st_size)
            attempt = 0;
        result = settle(fetch, &reply.answer, &attempt, err);
        session_reply_fini(&reply);
    }
    return result;
}

int fetch_source(struct session *session, struct error *err)
{
    if (durable_exists(session->dir, FETCH_SOURCE))
        return 0;
    struct fetch fetch = {.session = session, .size = -1};
    FD(part) = openat(session->dir, PART_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (part < 0)
        return error_errno(err, "%s", PART_FILE);
    fetch.part = part;
    session_report(session, WORK_DOWNLOAD, 0);
    return fetch_whole(&fetch, err);
}

int fetch_forget(int dir, struct error *err)
{
    if (durable_unlink(dir, FETCH_SOURCE, err) < 0 || durable_unlink(dir, PART_FILE, err) < 0)
        return -1;
    return durable_unlink(dir, NOTE_FILE, err);
}
