/* session_answer: what the answer to a step's request means, and how long to wait after it.
 *
 * Never gives up: only a lost claim ends a step. Logs the start and the end of trouble, not every
 * attempt. */
#ifndef AGENT_SESSION_ANSWER_H
#define AGENT_SESSION_ANSWER_H

#include "agent/api/http.h"

struct session;

enum { SESSION_WAKE_SPREAD_MS = 5 * 1000 };

enum verdict {
    VERDICT_OK,      /* 2xx with a JSON body (or the bytes that were requested) */
    VERDICT_RETRY,   /* says nothing about the job: retry after a pause */
    VERDICT_HOLD,    /* only a person can help: retry slowly */
    VERDICT_LOST,    /* the claim is lost, or the job is gone */
    VERDICT_MISSING, /* our server says that the requested thing does not exist */
    VERDICT_RECLAIM, /* a stock server says that the claim is lost; session_judge reclaims */
};

/* The current trouble with the server, so that its begin and its end are logged instead of every
 * attempt. */
struct trouble {
    enum tailslate_reach reach;
    long status;
    enum tailslate_answer_class class;
    int64_t since_ms; /* 0: none */
    unsigned calls;   /* requests that have failed because of it: the first is retried, the second
                         shows that it persists */
    bool is_hold_logged;
    bool is_of_work; /* more than progress reports fails: their success is not its end */
};

/* The pause after failure number attempt + 1. It ends early when another request reaches the server
 * again: spread over SESSION_WAKE_SPREAD_MS, but not before the server's Retry-After. */
struct session_pause {
    int64_t begun_ms, until_ms, floor_ms;
    bool is_patient; /* a person must act: the server's return does not end the pause */
};

/* What the answer means. Never VERDICT_RECLAIM: starts the reclaim and returns RETRY or HOLD until
 * that is answered. Remembers a lost claim; logs the begin and the end of trouble. A 2xx without
 * the expected JSON comes from a captive portal, not from our server. */
enum expected { EXPECT_JSON, EXPECT_BYTES };
enum verdict session_judge(struct session *session, const struct http_answer *answer,
                           enum expected expected);
/* The same for a progress report. It succeeds where files do not: on a full disk, say. */
enum verdict session_judge_progress(struct session *session, const struct http_answer *answer);
/* See struct session_pause. */
struct session_pause session_pause_after(const struct session *session, enum verdict verdict,
                                         unsigned attempt, const struct http_answer *answer);
int64_t session_pause_end_ms(const struct session *session, const struct session_pause *pause);
/* A file was accepted: earlier refusals no longer count. */
void session_is_accepted(struct session *session);
/* Wait that long, or until the claim is lost. */
void session_wait_backoff(struct session *session, const struct session_pause *pause);

/* What an answer means by itself; pure. session_judge acts on it. */
enum verdict session_verdict_of(const struct session *session, const struct http_answer *answer,
                                enum expected expected);
/* The server as a whole was unavailable, not one resource of it. */
bool session_is_outage(enum tailslate_answer_class class);
/* The finished work is refused for a reason of its own: the first time counts. */
void session_note_refusal(struct session *session, const char *reason);
/* True: it has not been reported yet that something is on hold. */
bool session_is_first_hold(struct session *session);
/* How long to wait before repeating a request that is on hold. */
int64_t session_hold_ms(const struct session *session, int64_t retry_after_ms);
/* Ends the pauses of all waiting requests. */
void session_note_return(struct session *session);

#endif
