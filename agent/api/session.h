/* session: a step's conversation with the server about its one job.
 *
 * Wraps http's single attempts with what every call of a step needs: the claim as it stands on disk
 * (it may be bound anew at any time), the epoch, what an answer means for the job (session_judge),
 * a pause by full jitter that honours Retry-After, and progress reports that keep the claim while
 * anything is waited for: session_wait is the only way to wait in a step.
 *
 * A claim that went is remembered (`lost`); every loop of a step ends on it. Nothing else of what a
 * server says ever ends one: there is no attempt limit. */
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
    SESSION_RECLAIMS_MAX = 3, /* of one job without an outcome, in one life of its step */
};

enum verdict {
    VERDICT_OK,      /* 2xx with a JSON body (or the bytes that were asked for) */
    VERDICT_RETRY,   /* says nothing about the job: again, after a pause */
    VERDICT_HOLD,    /* only a person can help; again, slowly */
    VERDICT_LOST,    /* the claim or the job went */
    VERDICT_MISSING, /* our server says that the thing asked for is not there */
    VERDICT_RECLAIM, /* a stock server says that the claim went; session_judge acts on it */
};

struct reply {
    struct http_answer answer; /* a copy; session_reply_fini */
    bool done;
};

/* What the last trouble was, so that it is logged when it begins and when it ends, not per try. */
struct trouble {
    enum http_result result;
    long status;
    enum tailslate_answer_class class;
    int64_t since_ms; /* 0: none */
    unsigned calls;   /* that met it: the first is tried again, the second says that it lasts */
    bool is_held_said;
};

/* The pause after the (attempt + 1)-th failure. It ends earlier where another call finds the server
 * back, spread over SESSION_WAKE_SPREAD_MS, but not before the server's Retry-After. */
struct session_pause {
    int64_t begun_ms, until_ms, floor_ms;
    bool is_patient; /* a person must act: the server's return changes nothing */
};

/* A server without our codes says by 403 or 409 that the claim went: this very job is asked for
 * again. Got: the record is bound to the new claim and the work goes on. Refused: work that has no
 * outcome yet is let go (its slot is free, whoever claims the job does it); finished work is held.
 */
struct session_reclaim {
    struct http_call *call;
    unsigned count; /* how often it was had again, in this life */
    int64_t not_before_ms;
    char reason[256]; /* of the last refusal, so that it is logged once */
};

/* `pause` of an operator: transcoders stand still, uploads and deliveries go on. */
struct session_orders {
    int room, watch; /* state_dir/orders; inotify. -1: none */
    bool is_paused;
    int64_t looked_ms, since_ms, total_ms; /* paused since; and in all before */
};

struct session {
    const struct config *config;
    int dir; /* borrowed: the record */
    struct http_client *client;
    struct record_claim claim;
    bool transcoded; /* the outcome is on disk: only success may be sent */
    struct session_orders orders;
    enum tailslate_problem lost;
    struct session_reclaim reclaim;
    int64_t refused_since_ms; /* monotonic: finished work was refused first; 0: it is not */
    char lost_detail[256];
    struct trouble trouble;
    unsigned disk_retries; /* how often this disk was full in the middle of the work */
    bool is_away, is_back; /* the server; it was away before it came back at back_ms */
    int64_t back_ms;
    uint64_t back_random;              /* this return's place in the spread */
    struct session_pause upload_pause; /* before the next attempt, in whichever state of the job */
    unsigned upload_attempt;

    struct record_progress progress; /* what is told; session_report changes it */
    struct http_call *progress_call;
    int64_t progress_sent_ms, progress_not_before_ms, progress_lease_ms, status_written_ms;
    unsigned progress_failures;
    bool progress_changed, status_changed;
};

int session_open(struct session *session, const struct config *config, int dir, struct error *err);
void session_close(struct session *session);

/* Tell where the work stands (server and status file, each at its own pace). */
void session_report(struct session *session, enum work_step step, int64_t percent);
void session_report_quality(struct session *session, enum tailslate_quality quality,
                            enum quality_status status, int64_t percent,
                            int64_t segments_completed);

/* Tell the last of it now: at the end of the work there is no later report. One attempt, within
 * HTTP_CALL_MS; a server that does not answer loses a glance. */
void session_flush(struct session *session);

/* Wait for transfers, descriptors (revents are filled) or the time, and keep the claim meanwhile.
 * Waits at most a second: loops look around. Returns how many descriptors are ready. */
int session_wait(struct session *session, struct http_wait_fd *fds, unsigned count,
                 int64_t timeout_ms);

/* Monotonic, but stands still while the node is paused: for every limit on work. */
int64_t session_work_ms(const struct session *session);
/* In every loop around a child: stops it, or lets it go on, when that has been ordered. */
void session_pause_child(const struct session *session, const struct child *child,
                         bool *is_stopped);
/* Before a program is started: wait until the node is not paused (or the claim is lost). */
void session_await_unpause(struct session *session);

/* Start a call under the claim as it is on disk now. When it is done, `reply` is filled and owns
 * its answer (session_reply_fini). struct http_request says what of the request is borrowed. */
struct http_call *session_start(struct session *session, struct http_request *request,
                                struct reply *reply);
void session_reply_fini(struct reply *reply);
/* The same, waited for. */
void session_perform(struct session *session, struct http_request *request, struct reply *reply);

/* What the answer means. Never VERDICT_RECLAIM: asks for the job again and says RETRY or HOLD until
 * that is answered. Remembers a lost claim, logs the beginning and the end of trouble. A 2xx
 * without the JSON that was expected is a captive portal's, not our server's. */
enum expected { EXPECT_JSON, EXPECT_BYTES };
enum verdict session_judge(struct session *session, const struct http_answer *answer,
                           enum expected expected);
/* See struct session_pause. */
struct session_pause session_pause_after(const struct session *session, enum verdict verdict,
                                         unsigned attempt, const struct http_answer *answer);
int64_t session_pause_end_ms(const struct session *session, const struct session_pause *pause);
/* A file was accepted: what was refused before counts no longer. */
void session_is_accepted(struct session *session);
/* Wait that long, or until the claim is lost. */
void session_sit_out(struct session *session, const struct session_pause *pause);

/* Until the server says yes (then *reply is the caller's, session_reply_fini) or the claim is lost
 * (-1, and there is no reply). */
int session_insist(struct session *session, struct http_request *request, struct reply *reply);

/* Run a short program to its end, at most limit_ms, keeping the claim. -1: it could not be run,
 * took too long, or the claim is lost (err->code ECANCELED). */
int session_run_child(struct session *session, const struct child_options *options,
                      int64_t limit_ms, struct child_exit *how, struct error *err);

#endif
