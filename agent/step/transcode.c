#include "agent/step/transcode.h"

#include "agent/base/progress.h"
#include "agent/base/tree.h"
#include "agent/media/ladder.h"
#include "agent/media/limits.h"
#include "agent/media/machine.h"
#include "agent/media/reason.h"
#include "agent/step/disk.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
    PERCENT_FROM =
        10, /* share of the job's progress: the download before it, the upload after it */
    PERCENT_TO = 90,
    FULL_LOOK_BYTES = 16 * 1024,
    CHILDS_ENVIRONMENT_MAX = 32,
};

struct run {
    struct session *session;
    struct upload *upload;
    const struct transcode_job *job;
    struct child child;
    int log_fd, progress_fd;
    struct progress progress;
    struct tree_size tree;
    struct limits limits;
    struct limits_sample sample;
    bool is_stopped;
    int64_t started_ms;
    int64_t begun_ms, moved_ms, tree_ms, memory_ms; /* in session_work_ms */
};

/* ---- start ----------------------------------------------------------------------------------- */

/* The directory itself is the mark: its inode number is unique while it exists. */
static void make_mark(int dir, char mark[TRANSCODE_MARK_BYTES])
{
    struct stat status = {0};
    fstat(dir, &status);
    snprintf(mark, TRANSCODE_MARK_BYTES, "TAILSLATE_RECORD=%llx:%llx",
             (unsigned long long)status.st_dev, (unsigned long long)status.st_ino);
}

void transcode_kill_leftovers(int dir)
{
    struct process_identity identity;
    struct error ignored;
    if (record_read_identity(dir, "transcoder", &identity, &ignored) == 0)
        process_identity_kill_group(&identity);
    char mark[TRANSCODE_MARK_BYTES];
    make_mark(dir, mark);
    int killed = child_kill_marked(mark);
    if (killed > 0)
        log_warning("step.stray_processes_killed", LOG_INT("processes", killed));
}

static int open_log(int dir, struct error *err)
{
    int fd = openat(dir, RECORD_LOG, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    return fd < 0 ? error_errno(err, "%s", RECORD_LOG) : fd;
}

static struct sandbox sandbox_of(const struct config *config, enum sandbox_network network,
                                 int64_t file_limit_bytes)
{
    return (struct sandbox){
        .network = network,
        .nice = (int)config->transcode.nice,
        .is_io_low = strcmp(config->limits.io, "low") == 0,
        .file_limit_bytes = file_limit_bytes,
        .open_files = config->limits.open_files,
    };
}

static int spawn(struct run *run, struct error *err)
{
    const struct session *session = run->session;
    char *const *environment = run->job->environment;
    char mark[TRANSCODE_MARK_BYTES];
    char *added[CHILDS_ENVIRONMENT_MAX + 2] = {mark};
    make_mark(session->dir, mark);
    for (size_t i = 0; environment && environment[i]; i++) {
        must(i < CHILDS_ENVIRONMENT_MAX);
        added[i + 1] = environment[i];
    }
    struct child_options options = {
        .argv = run->job->argv->items,
        .environment = added,
        .directory = session->dir,
        .out_fd = run->log_fd,
        .err_fd = run->log_fd,
        .sandbox = sandbox_of(session->config, run->job->network, run->limits.output_bytes),
    };
    return child_spawn(&options, &run->child, err);
}

static int start(struct run *run, struct error *err)
{
    struct session *session = run->session;
    session_await_unpause(session);
    /* An earlier run's last progress is not ours. */
    unlinkat(session->dir, LADDER_PROGRESS_FILE, 0);
    if (spawn(run, err) < 0) {
        err->class = ERROR_TEMPORARY; /* another node may have the program */
        return -1;
    }
    if (record_write_identity(session->dir, "transcoder", run->child.pid, err) < 0) {
        child_stop(&run->child);
        return error_wrap(err, "cannot record the transcoder's identity");
    }
    crash_point(CRASH_STEP_TRANSCODER_STARTED);
    run->started_ms = mono_ms();
    run->begun_ms = run->moved_ms = session_work_ms(session);
    log_info("step.transcoder_started", LOG_INT("pid", run->child.pid),
             LOG_TEXT("program", run->job->argv->items[0]));
    return 0;
}

/* ---- monitoring ------------------------------------------------------------------------------ */

static void report(struct run *run)
{
    struct session *session = run->session;
    double done = run->job->duration_s > 0 ? run->progress.out_time_s / run->job->duration_s : 0;
    done = done < 0 ? 0 : done > 1 ? 1 : done;
    int64_t percent = PERCENT_FROM + (int64_t)(done * (PERCENT_TO - PERCENT_FROM));
    session->progress.speed = run->progress.speed;
    if (run->progress.speed > 0)
        session->progress.eta_seconds = (int64_t)((1 - done) * run->job->duration_s /
                                                  run->progress.speed);
    session_report(session, WORK_TRANSCODE, percent);
    for (enum tailslate_quality quality = 0; quality < TAILSLATE_QUALITY_COUNT; quality++)
        if (run->job->made & 1u << quality)
            session_report_quality(session, quality, QUALITY_STATUS_IN_PROGRESS,
                                   (int64_t)(done * 100),
                                   (int64_t)run->upload->renditions[quality].uploaded);
}

static bool has_ladder_moved(struct run *run)
{
    struct progress before = run->progress;
    if (run->progress_fd < 0)
        run->progress_fd = openat(run->session->dir, LADDER_PROGRESS_FILE,
                                  O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    progress_read(run->progress_fd, &run->progress);
    return run->progress.out_time_s > before.out_time_s || run->progress.frame > before.frame;
}

/* Has its output or its log changed? */
static bool check_tree(struct run *run)
{
    struct stat log = {0};
    struct tree_size size = {0};
    struct error ignored;
    tree_measure(run->upload->output, &size);
    run->sample.output_bytes = size.bytes;
    run->sample.free_bytes = -1;
    (void)disk_free_bytes(run->session->dir, &run->sample.free_bytes, &ignored);
    fstat(run->log_fd, &log);
    size.bytes += log.st_size;
    bool moved = memcmp(&size, &run->tree, sizeof size) != 0;
    run->tree = size;
    return moved;
}

static bool is_due(int64_t *checked_ms, int64_t now, int64_t pause_ms)
{
    if (now < *checked_ms + pause_ms)
        return false;
    *checked_ms = now;
    return true;
}

static enum limit check_limits(struct run *run)
{
    int64_t now = session_work_ms(run->session);
    bool grown = is_due(&run->tree_ms, now, TRANSCODE_TREE_CHECK_MS) && check_tree(run);
    if (is_due(&run->memory_ms, now, TRANSCODE_MEMORY_CHECK_MS))
        run->sample.memory_bytes = machine_group_memory_bytes(run->child.pid);
    bool moved = false;
    switch (run->job->kind) {
    case TRANSCODE_LADDER:
        moved = has_ladder_moved(run);
        break;
    case TRANSCODE_COMMAND:
        moved = grown;
        break;
    }
    if (moved) {
        run->moved_ms = now;
        report(run);
    }
    run->sample.still_ms = now - run->moved_ms;
    run->sample.work_ms = now - run->begun_ms;
    return limits_check(&run->limits, &run->sample);
}

static void bound_log(const struct run *run)
{
    struct stat status;
    /* O_APPEND: the transcoder continues at the new end. */
    if (fstat(run->log_fd, &status) == 0 && status.st_size > TRANSCODE_LOG_MAX_BYTES &&
        ftruncate(run->log_fd, 0) == 0)
        log_warning("step.log_truncated", LOG_INT("bytes", status.st_size));
}

static void wait_a_moment(struct run *run)
{
    struct http_wait_fd watch[] = {
        {.fd = run->child.pidfd, .events = POLLIN},
        {.fd = run->upload->inotify, .events = POLLIN},
    };
    session_wait(run->session, watch, 2, TRANSCODE_CHECK_MS);
    upload_collect(run->upload);
    upload_tick(run->upload);
    bound_log(run);
}

static int supervise(struct run *run, struct child_exit *how, struct error *err)
{
    while (!child_wait(&run->child, 0, how)) {
        if (run->session->lost != TAILSLATE_PROBLEM_NONE) {
            child_stop(&run->child);
            return error_set(err, ERROR_TEMPORARY, ECANCELED, "the claim is lost");
        }
        session_pause_child(run->session, &run->child, &run->is_stopped);
        enum limit bound = check_limits(run);
        if (bound != LIMIT_NONE) {
            child_stop(&run->child);
            return limits_error(bound, &run->limits, err);
        }
        wait_a_moment(run);
    }
    return 0;
}

/* ---- the end --------------------------------------------------------------------------------- */

bool transcode_log_says_full(int dir)
{
    char tail[FULL_LOOK_BYTES + 1];
    struct stat status;
    FD(fd) = openat(dir, RECORD_LOG, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0)
        return false;
    off_t from = status.st_size > FULL_LOOK_BYTES ? status.st_size - FULL_LOOK_BYTES : 0;
    ssize_t size = pread(fd, tail, FULL_LOOK_BYTES, from);
    tail[size > 0 ? size : 0] = '\0';
    return strstr(tail, strerror(ENOSPC)) || strstr(tail, strerror(EDQUOT));
}

static int64_t log_end(int log_fd)
{
    struct stat status;
    return fstat(log_fd, &status) == 0 ? status.st_size : 0;
}

/* What one attempt met may have been an accident; what two attempts met is this source. */
static void settle_class(const struct session *session, struct error *err)
{
    if (err->class == ERROR_TEMPORARY && err->code == 0 && session->claim.claim.attempt_number > 1)
        err->class = ERROR_PERMANENT;
}

/* log_from: where this program's log starts. is_ours: its messages are ffmpeg's. */
static int explain(const struct session *session, int log_fd, int64_t log_from, bool is_ours,
                   const char *program, struct child_exit how, struct error *err)
{
    char end[64], line[REASON_LINE_BYTES];
    if (!how.signalled && how.number == 0)
        return 0;
    if (transcode_log_says_full(session->dir))
        return error_set(err, ERROR_TEMPORARY, ENOSPC, "no space left on this node's disk");
    child_describe(how, end, sizeof end);
    reason_read_line(log_fd, log_from, line);
    const char *slash = strrchr(program, '/'), *name = slash ? slash + 1 : program;
    if (how.signalled && how.number == SIGKILL) /* caused by this node, not by the video */
        return error_set(err, ERROR_TEMPORARY, ENOMEM,
                         "%s ended with %s (memory may have run out: see the kernel's log)%s%s",
                         name, end, line[0] ? ": " : "", line);
    TEXT(otherwise) = must_printf("%s ended with %s", name, end);
    if (is_ours && !how.signalled)
        reason_of_line(line, otherwise, err);
    else
        error_set(err, ERROR_TEMPORARY, 0, "%s%s%s", otherwise, line[0] ? ": " : "", line);
    settle_class(session, err);
    return -1;
}

int transcode_run(struct session *session, struct upload *upload, const struct transcode_job *job,
                  struct error *err)
{
    struct run run = {.session = session, .upload = upload, .job = job, .child = CHILD_INIT};
    FD(log_fd) = open_log(session->dir, err);
    if (log_fd < 0 || upload_watch(upload, err) < 0)
        return -1;
    run.log_fd = log_fd;
    int64_t log_from = log_end(log_fd);
    run.progress_fd = -1;
    limits_of(session->config, machine_memory_bytes(), job->duration_s, job->expected_bytes,
              &run.limits);
    struct child_exit how;
    int result = start(&run, err);
    if (result == 0)
        result = supervise(&run, &how, err);
    cleanup_fd(&run.progress_fd);
    if (result < 0)
        return -1;
    crash_point(CRASH_STEP_TRANSCODER_EXITED);
    log_info("step.transcoder_ended", LOG_INT("after_ms", mono_ms() - run.started_ms),
             LOG_INT("signal", how.signalled ? how.number : 0),
             LOG_INT("status", how.signalled ? 0 : how.number));
    upload_collect(upload);
    if (how.signalled && how.number == SIGXFSZ)
        return limits_error(LIMIT_OUTPUT, &run.limits, err);
    return explain(session, log_fd, log_from, job->kind == TRANSCODE_LADDER, job->argv->items[0],
                   how, err);
}

int transcode_run_short(struct session *session, const struct argv *argv, int64_t limit_ms,
                        struct error *err)
{
    FD(log_fd) = open_log(session->dir, err);
    if (log_fd < 0)
        return -1;
    struct child_options options = {
        .argv = argv->items,
        .directory = session->dir,
        .out_fd = log_fd,
        .err_fd = log_fd,
        .sandbox = sandbox_of(session->config, SANDBOX_CLOSED, TRANSCODE_SHORT_MAX_BYTES),
    };
    struct child_exit how;
    int64_t log_from = log_end(log_fd);
    if (session_run_child(session, &options, limit_ms, &how, err) < 0)
        return -1;
    return explain(session, log_fd, log_from, true, argv->items[0], how, err);
}
