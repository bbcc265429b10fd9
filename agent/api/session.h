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

#include "agent/api/http.h"
#include "agent/base/child.h"
#include "agent/base/config.h"
#include "agent/spool/record.h"

#include <poll.h>

enum {
    SESSION_WAIT_FDS_MAX = 4,
    PROGRESS_MIN_MS = 2 * 1000,
    PROGRESS_MAX_MS = 30 * 1000,
    STATUS_WRITE_MS = 1000,
    SESSION_WAKE_SPREAD_MS = 5 * 1000,
    SESSION_RECLAIMS_MAX = 3, /* for one job without an outcome, in one run of its step */
};

enum verdict {
    VERDICT_OK,      /* 2xx with a JSON body (or the bytes that were requested) */
    VERDICT_RETRY,   /* says nothing about the job: retry after a pause */
    VERDICT_HOLD,    /* only a person can help: retry slowly */
    VERDICT_LOST,    /* the claim is lost, or the job is gone */
    VERDICT_MISSING, /* our server says that the requested thing does not exist */
    VERDICT_RECLAIM, /* a stock server says that the claim is lost; session_judge reclaims */
};

struct reply {
    struct http_answer answer; /* a copy; free with session_reply_fini */
    bool done;
};

/* The current trouble with the server, so that its begin and its end are logged instead of every
 * attempt. */
struct trouble {
    enum tailslate_reach reach;
    long status;
    enum tailslate_answer_class class;
    int64_t since_ms; /* 0: none */
    unsigned calls;   /* how many requests met it: the first is retried, the second shows that it
                         persists */
    bool is_held_said;
};

/* The pause after failure number attempt + 1. It ends early when another request reaches the server
 * again: spread over SESSION_WAKE_SPREAD_MS, but not before the server's Retry-After. */
struct session_pause {
    int64_t begun_ms, until_ms, floor_ms;
    bool is_patient; /* a person must act: the server's return does not end the pause */
};

/* A server without our codes says by 403 or 409 that the claim is lost; then the step reclaims the
 * job. If that succeeds, the record is bound to the new claim and the work goes on. If it is
 * refused, work without an outcome is abandoned (its slot becomes free and another worker
 * transcodes the job), and finished work is held. */
struct session_reclaim {
    struct http_call *call;
    unsigned count; /* how often the job was reclaimed in this run */
    int64_t not_before_ms;
    char reason[256]; /* for the last refusal, so that it is logged once */
};

/* An operator's `pause`: transcoders are suspended, uploads and deliveries go on. */
struct session_orders {
    int capacity, watch; /* state_dir/orders; inotify. -1: none */
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
    struct session_orders controls;
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

/* What the answer means. Never VERDICT_RECLAIM: starts the reclaim and returns RETRY or HOLD until
 * that is answered. Remembers a lost claim; logs the begin and the end of trouble. A 2xx without
 * the expected JSON comes from a captive portal, not from our server. */
enum expected { EXPECT_JSON, EXPECT_BYTES };
enum verdict session_judge(struct session *session, const struct http_answer *answer,
                           enum expected expected);
/* See struct session_pause. */
struct session_pause session_pause_after(const struct session *session, enum verdict verdict,
                                         unsigned attempt, const struct http_answer *answer);
int64_t session_pause_end_ms(const struct session *session, const struct session_pause *pause);
/* A file was accepted: earlier refusals no longer count. */
void session_is_accepted(struct session *session);
/* Wait that long, or until the claim is lost. */
void session_wait_backoff(struct session *session, const struct session_pause *pause);

/* Retry until the server accepts (then *reply belongs to the caller, session_reply_fini) or the
 * claim is lost (-1, without a reply). */
int session_retry_until_ok(struct session *session, struct http_request *request,
                           struct reply *reply);

/* Run a short program to its end, for at most limit_ms, extending the claim. -1: it could not be
 * run, it took too long, or the claim is lost (err->code ECANCELED). */
int session_run_child(struct session *session, const struct child_options *options,
                      int64_t limit_ms, struct child_exit *how, struct error *err);

#endif
