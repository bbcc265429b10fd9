/* session: a step's conversation with the server about its one job.
 *
 * Adds to the single attempts of http what every request of a step needs: the claim as it is on
 * disk (it may be replaced at any time), the epoch, the meaning of an answer for the job
 * (session_judge), full-jitter backoff that honors Retry-After, and progress reports that extend
 * the claim during every wait. A step waits only in session_wait.
 *
 * A lost claim is remembered (`lost`), and every loop of a step ends when it is set. Nothing else
 * that a server says ends a loop: there is no attempt limit. */
#ifndef AGENT_SESSION_H
#define AGENT_SESSION_H

#include "agent/api/reclaim.h"
#include "agent/api/session_answer.h"
#include "agent/base/child.h"
#include "agent/base/config.h"
#include "agent/spool/record.h"

#include <poll.h>

enum {
    SESSION_WAIT_FDS_MAX = 4,
    PROGRESS_MIN_MS = 2 * 1000,
    PROGRESS_MAX_MS = 30 * 1000,
    STATUS_WRITE_MS = 1000,
};

struct reply {
    struct http_answer answer; /* a copy; free with session_reply_fini */
    bool done;
};

/* An operator's `pause`: transcoders are suspended, uploads and deliveries go on. */
struct session_control {
    int dir, watch; /* state_dir/orders; inotify. -1: none */
    bool is_paused;
    int64_t checked_ms, since_ms,
        total_ms; /* start of the current pause; total of all earlier ones */
};

struct session {
    const struct config *config;
    int dir; /* borrowed: the record */
    struct http_client *client;
    struct record_claim claim;
    bool transcoded; /* the outcome is on disk: only success may be reported */
    struct session_control controls;
    enum tailslate_problem lost;
    struct session_reclaim reclaim;
    int64_t refused_since_ms; /* monotonic: first refusal of finished work; 0: not refused */
    char lost_detail[256];
    struct trouble trouble;
    unsigned disk_retries; /* how often the disk was full during the work */
    bool is_away, is_back; /* when the server was reachable again after an outage */
    int64_t back_ms;
    uint64_t back_random;              /* this step's share of the spread */
    struct session_pause upload_pause; /* pause before the next attempt, in any state of the job */
    unsigned upload_attempt;

    struct record_progress progress; /* what is reported; session_report changes it */
    struct http_call *progress_call;
    int64_t progress_sent_ms, progress_not_before_ms, progress_lease_ms, status_written_ms;
    unsigned progress_failures;
    bool progress_changed, status_changed;
};

int session_open(struct session *session, const struct config *config, int dir, struct error *err);
void session_close(struct session *session);

/* Report the progress of the work (to the server and to the status file, each at its own interval).
 */
void session_report(struct session *session, enum work_step step, int64_t percent);
void session_report_quality(struct session *session, enum tailslate_quality quality,
                            enum quality_status status, int64_t percent,
                            int64_t segments_completed);

/* Report the final progress now, because there is no later report. One attempt, within
 * HTTP_CALL_MS; if it fails, only a progress figure is lost. */
void session_flush(struct session *session);

/* Wait for transfers, for descriptors (revents are filled in) or for the timeout, and extend the
 * claim meanwhile. Waits at most a second, so that loops can check their conditions. Returns how
 * many descriptors are ready. */
int session_wait(struct session *session, struct http_wait_fd *fds, unsigned count,
                 int64_t timeout_ms);

/* Monotonic time that excludes pauses: used for every limit on work. */
int64_t session_work_ms(const struct session *session);
/* Call in every loop around a child process: suspends or resumes it as the operator requests. */
void session_pause_child(const struct session *session, const struct child *child,
                         bool *is_stopped);
/* Call before starting a program: waits while the node is paused (or until the claim is lost). */
void session_await_unpause(struct session *session);

/* Start a request under the claim that is currently on disk. When it is done, `reply` is filled in
 * and owns its answer (session_reply_fini). See struct http_request for what is borrowed. */
struct http_call *session_start(struct session *session, struct http_request *request,
                                struct reply *reply);
void session_reply_fini(struct reply *reply);
/* The same, and wait for the answer. */
void session_perform(struct session *session, struct http_request *request, struct reply *reply);

/* Retry until the server accepts (then *reply belongs to the caller, session_reply_fini) or the
 * claim is lost (-1, without a reply). */
int session_retry_until_ok(struct session *session, struct http_request *request,
                           struct reply *reply);

/* Run a short program to its end, for at most limit_ms, extending the claim. -1: it could not be
 * run, it took too long, or the claim is lost (err->code ECANCELED). */
int session_run_child(struct session *session, const struct child_options *options,
                      int64_t limit_ms, struct child_exit *how, struct error *err);

#endif
