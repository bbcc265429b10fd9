#include "agent/step/step.h"

#include "agent/api/session.h"
#include "agent/base/tree.h"
#include "agent/media/reason.h"
#include "agent/spool/record.h"
#include "agent/step/disk.h"
#include "agent/step/fetch.h"
#include "agent/step/pipeline.h"
#include "agent/step/transcode.h"
#include "agent/step/upload_archive.h"
#include "agent/step/upload_finish.h"
#include "base/crash.h"
#include "base/log.h"
#include "lib/cleanup.h"
#include "lib/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

enum {
    LOG_TAIL_BYTES = 4096,
    PERCENT_UPLOAD = 92,
    PERCENT_FINALIZE = 99,
    HEAP_THRESHOLD_BYTES = 32 * 1024,
    DISK_RETRIES_MAX = 3, /* of one step */
};

/* ---- the ends of a job ----------------------------------------------------------------------- */

static int mark_lost(struct session *session, struct error *err)
{
    if (record_mark_lost(session->dir, session->lost, session->lost_detail, err) < 0)
        return error_wrap(err, "cannot record that the claim is lost");
    log_warning("step.claim_lost", LOG_TEXT("code", tailslate_problem_code(session->lost)),
                LOG_TEXT("reason", session->lost_detail));
    return 0;
}

static void free_the_disk(const struct session *session)
{
    struct error ignored;
    (void)durable_remove_tree(session->dir, RECORD_OUTPUT, &ignored);
    (void)fetch_forget(session->dir, &ignored);
}

/* A failed system call says nothing about the video, whatever its code. */
static bool is_videos_fault(const struct error *why)
{
    return why->class == ERROR_PERMANENT && (why->code == 0 || why->code == EFBIG);
}

/* Would another video meet this on this node, too? */
static bool is_nodes_fault(const struct error *why)
{
    static const int codes[] = {ENOSPC, EDQUOT, EIO,    ENOMEM, EMFILE,
                                ENFILE, ENOENT, EACCES, EROFS,  ENOEXEC};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (why->code == codes[i])
            return true;
    return false;
}

static int seal_once(const struct session *session, const struct message_failure *failure,
                     bool is_fault, struct error *err)
{
    enum job_state state;
    struct error why;
    if (is_fault)
        record_note_fault(session->dir, failure->reason);
    if (record_seal_failure(session->dir, failure, &why) == 0)
        return 0;
    if (record_state(session->dir, &state, err) < 0)
        return -1;
    if (state == JOB_FAILED)
        return 0;
    *err = why;
    return -1;
}

/* A full disk has no space for the failure until the source, which can be fetched again, is
 * deleted; the output stays until the failure is on disk. */
static int seal_failure(const struct session *session, const struct message_failure *failure,
                        bool is_fault, struct error *err)
{
    struct error ignored;
    if (seal_once(session, failure, is_fault, err) == 0)
        return 0;
    if (err->code != ENOSPC && err->code != EDQUOT)
        return -1;
    (void)fetch_forget(session->dir, &ignored);
    return seal_once(session, failure, is_fault, err);
}

/* For the person who reads the failure on the server. */
static void add_log(const struct session *session, char reason[REASON_BYTES])
{
    char log[LOG_TAIL_BYTES + 1];
    struct stat status;
    FD(fd) = openat(session->dir, RECORD_LOG, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        return;
    off_t from = status.st_size > LOG_TAIL_BYTES ? status.st_size - LOG_TAIL_BYTES : 0;
    ssize_t size = pread(fd, log, LOG_TAIL_BYTES, from);
    size_t length = size > 0 ? (size_t)size : 0;
    log[length] = '\0';
    reason_add_lines(log, length, session->config->server.api_key_file, reason, REASON_BYTES);
}

static int fail(struct session *session, const struct error *why, struct error *err)
{
    struct message_failure failure = {.retry = !is_videos_fault(why)};
    const char *step = work_step_name(session->progress.progress.step);
    char reason[REASON_BYTES];
    snprintf(reason, sizeof reason, "%s%s%.*s", step ? step : "", step ? ": " : "",
             REASON_BYTES - 32, why->message);
    memcpy(failure.reason, reason, sizeof reason);
    add_log(session, failure.reason);
    crash_point(CRASH_STEP_FAILURE_FOUND);
    if (seal_failure(session, &failure, is_nodes_fault(why), err) < 0)
        return error_wrap(err, "cannot seal the failure \"%.200s\"", why->message);
    crash_point(CRASH_STEP_FAILURE_SEALED);
    log_at(failure.retry ? LOG_WARNING : LOG_ERROR, "step.failed", LOG_TEXT("reason", reason),
           LOG_TEXT("retry", failure.retry ? "yes" : "no"));
    free_the_disk(session);
    return 0;
}

/* A bug is not the video's fault: the record stays as it is and the agent sees the exit status. */
static int give_up(struct session *session, const struct error *why, struct error *err)
{
    if (session->lost != TAILSLATE_PROBLEM_NONE)
        return mark_lost(session, err);
    if (why->class == ERROR_BUG) {
        *err = *why;
        return -1;
    }
    return fail(session, why, err);
}

/* The disk was full during the work: after freeing space, it starts again when there is twice as
 * much as it had used. False: that will not help. */
static bool waits_for_disk(struct session *session, const struct error *why)
{
    struct tree_size used;
    struct error ignored;
    if ((why->code != ENOSPC && why->code != EDQUOT) || session->lost != TAILSLATE_PROBLEM_NONE ||
        session->disk_retries++ >= DISK_RETRIES_MAX)
        return false;
    tree_measure(session->dir, &used);
    log_warning("step.disk_full", LOG_TEXT("reason", why->message),
                LOG_INT("used_bytes", used.bytes), LOG_INT("attempt", session->disk_retries));
    free_the_disk(session);
    return disk_wait(session, 2 * used.bytes, &ignored) == 0;
}

/* ---- the states ------------------------------------------------------------------------------ */

static int do_claimed(struct session *session, struct error *err)
{
    struct error why;
    enum job_state state;
    if (pipeline_run(session, &why) == 0)
        return 0;
    /* The outcome may exist although its commit failed (durable.h): then only success may be sent,
     * and none of it is deleted. */
    if (record_state(session->dir, &state, err) < 0)
        return -1;
    if (state != JOB_CLAIMED) {
        log_warning("step.outcome_already_recorded", LOG_TEXT("reason", why.message));
        return 0;
    }
    return waits_for_disk(session, &why) ? 0 : give_up(session, &why, err);
}

static int upload_all(struct session *session, struct upload *upload, tailslate_quality_set wanted,
                      struct error *err)
{
    session_report(session, WORK_UPLOAD, PERCENT_UPLOAD);
    for (enum tailslate_quality quality = 0; quality < TAILSLATE_QUALITY_COUNT; quality++)
        if ((wanted & 1u << quality) && upload_finish(upload, quality, err) < 0)
            return -1;
    session_report(session, WORK_FINALIZE, PERCENT_FINALIZE);
    if (upload_finalize(upload, err) < 0)
        return -1;
    session_flush(session);
    return 0;
}

/* The output is missing from this disk, and no later run will find it. The claim is given up, so
 * that the job is not held forever. */
static int outputs_gone(struct session *session, const struct error *why, struct error *err)
{
    session->lost = TAILSLATE_PROBLEM_OUTPUT_MISSING;
    snprintf(session->lost_detail, sizeof session->lost_detail, "%.250s", why->message);
    log_error("step.output_missing", LOG_TEXT("reason", why->message));
    return mark_lost(session, err);
}

static int upload_failed(struct session *session, const struct error *why, struct error *err)
{
    if (session->lost != TAILSLATE_PROBLEM_NONE)
        return mark_lost(session, err);
    if (why->code == ENOENT)
        return outputs_gone(session, why, err);
    *err = *why;
    return -1;
}

static int do_transcoded(struct session *session, struct error *err)
{
    struct record_outcome outcome;
    struct upload upload;
    struct error why;
    if (record_read_outcome(session->dir, &outcome, err) < 0)
        return -1;
    /* An earlier run may have died before this. What cannot be removed now is removed with the
     * record. */
    (void)fetch_forget(session->dir, &why);
    tailslate_quality_set made = tailslate_completion_qualities(&outcome.completion);
    int result = upload_open(&upload, session, &why);
    if (result == 0)
        result = upload_all(session, &upload, made, &why);
    upload_close(&upload);
    if (result < 0)
        return upload_failed(session, &why, err);
    crash_point(CRASH_STEP_UPLOADED);
    if (record_seal_completion(session->dir, err) < 0)
        return error_wrap(err, "cannot seal the completion");
    crash_point(CRASH_STEP_SEALED);
    log_info("step.sealed", LOG_INT("renditions", outcome.completion.rendition_count));
    return 0;
}

/* If the server names none, all are uploaded again. */
static int read_wanted(const struct session *session, tailslate_quality_set *wanted,
                       struct error *err)
{
    struct record_outcome outcome;
    if (record_read_missing(session->dir, wanted, err) < 0 ||
        record_read_outcome(session->dir, &outcome, err) < 0)
        return -1;
    tailslate_quality_set made = tailslate_completion_qualities(&outcome.completion);
    *wanted = *wanted & made ? *wanted & made : made;
    return 0;
}

static int upload_again(struct session *session, struct upload *upload,
                        tailslate_quality_set wanted, struct error *err)
{
    if (upload_open(upload, session, err) < 0)
        return -1;
    for (enum tailslate_quality quality = 0; quality < TAILSLATE_QUALITY_COUNT; quality++)
        if ((wanted & 1u << quality) && upload_forget(upload, quality, err) < 0)
            return -1;
    return upload_all(session, upload, wanted, err);
}

static int do_reopened(struct session *session, struct error *err)
{
    tailslate_quality_set wanted;
    struct upload upload;
    struct error why;
    if (read_wanted(session, &wanted, err) < 0)
        return -1;
    int result = upload_again(session, &upload, wanted, &why);
    upload_close(&upload);
    if (result < 0)
        return upload_failed(session, &why, err);
    if (record_clear_missing(session->dir, err) < 0)
        return -1;
    log_info("step.uploaded_again");
    return 0;
}

/* ---- the process ----------------------------------------------------------------------------- */

static int run_states(struct session *session, struct error *err)
{
    for (;;) {
        enum job_state state;
        if (record_state(session->dir, &state, err) < 0)
            return -1;
        session->transcoded = state == JOB_TRANSCODED || state == JOB_REOPENED;
        int result;
        if (state == JOB_CLAIMED)
            result = do_claimed(session, err);
        else if (state == JOB_TRANSCODED)
            result = do_transcoded(session, err);
        else if (state == JOB_REOPENED)
            result = do_reopened(session, err);
        else
            return 0;
        if (result < 0)
            return -1;
    }
}

static int run_locked(const struct config *config, int dir, struct error *err)
{
    struct session session;
    crash_point(CRASH_STEP_LOCKED);
    if (record_write_identity(dir, "step", getpid(), err) < 0)
        return error_wrap(err, "cannot record the step's identity");
    int result = session_open(&session, config, dir, err);
    if (result == 0) {
        struct log_field fields[] = {LOG_INT("job", session.claim.claim.job_id),
                                     LOG_TEXT("token", session.claim.token),
                                     {0}};
        log_always(fields);
        transcode_kill_leftovers(dir);
        result = run_states(&session, err);
        log_always(NULL);
    }
    session_close(&session);
    return result;
}

/* Writing to a closed connection is an error of that request, not a signal that ends this process.
 */
static void ignore_broken_pipes(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    must(sigaction(SIGPIPE, &ignore, NULL) == 0);
}

/* A step runs beside every encoder: memory that curl and JSON used briefly is returned at once,
 * instead of staying in the heap for the hours of a long video (1.8 MB anonymous instead of 2.1).
 */
static void keep_memory_small(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, HEAP_THRESHOLD_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, HEAP_THRESHOLD_BYTES);
}

static int run(const struct config *config, const char *record_path, struct error *err)
{
    FD(dir) = open(record_path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0)
        return error_errno(err, "%s", record_path);
    FD(lock) = record_lock(dir, err);
    if (lock < 0)
        return error_wrap(err, "%s", record_path);
    return run_locked(config, dir, err);
}

int step_main(const struct config *config, const char *record_path)
{
    struct error err;
    ignore_broken_pipes();
    keep_memory_small();
    if (run(config, record_path, &err) == 0)
        return EX_OK;
    /* The next step will see whether a temporary error persists. */
    log_at(err.class == ERROR_TEMPORARY ? LOG_WARNING : LOG_ERROR, "step.stopped",
           LOG_TEXT("record", record_path), LOG_TEXT("reason", err.message));
    return error_exit_status(&err);
}
