/* transcode: runs the transcoder to its end, and meanwhile uploads, reports and monitors.
 *
 * One loop over the child, its progress and the uploads; nothing in it waits for the server. The
 * child's identity is on disk right after its start, so that a later run can kill it; its log is
 * limited. A transcoder that reaches a limit (limits.h) is stopped. Only says that the transcoder
 * exited successfully, never that its output is good: that is check's task. */
#ifndef AGENT_TRANSCODE_H
#define AGENT_TRANSCODE_H

#include "agent/base/argv.h"
#include "agent/step/upload.h"

enum {
    TRANSCODE_LOG_MAX_BYTES = 8 * 1024 *
                              1024, /* then the log starts over: the end is what counts */
    TRANSCODE_CHECK_MS = 1000,
    TRANSCODE_TREE_CHECK_MS = 5 * 1000,
    TRANSCODE_MEMORY_CHECK_MS = 2 * 1000,
    TRANSCODE_SHORT_MAX_BYTES = 256 * 1024 * 1024, /* of an image */
    TRANSCODE_MARK_BYTES = 64,
};

/* How progress is measured. */
enum transcode_kind {
    TRANSCODE_LADDER,  /* by ffmpeg's -progress file */
    TRANSCODE_COMMAND, /* by the growth of its output and its log */
};

struct transcode_job {
    enum transcode_kind kind;
    const struct argv *argv;
    char *const *environment; /* added to our environment; may be NULL */
    double duration_s;        /* of the source */
    int64_t expected_bytes;   /* of the output, by its bit rates */
    enum sandbox_network network;
    tailslate_quality_set made; /* for the reports */
};

/* -1: the message is the reason for people. It died or could not run: err->code is 0 or the errno;
 * stopped by a limit: limits_error's code; ECANCELED: the claim is lost. */
int transcode_run(struct session *session, struct upload *upload, const struct transcode_job *job,
                  struct error *err);

/* Runs a short program with the same mark and log (the thumbnail). */
int transcode_run_short(struct session *session, const struct argv *argv, int64_t limit_ms,
                        struct error *err);

/* Kills what an earlier run of this record left running. */
void transcode_kill_leftovers(int dir);

/* Does the log say that the disk was full? */
bool transcode_log_says_full(int dir);

#endif
