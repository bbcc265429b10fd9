/* delivery: what an answer to a sealed report means. Pure. The agent's side of the table
 * docs/PROMISES.md#the-verdicts, for our verifier and for a stock server.
 *
 * An answer is final only if it has a JSON body and one of our codes under its own status, or if it
 * acknowledges this very token. Everything else (a proxy's page, a stock 409, a redirect, a
 * truncated body, silence) means: keep the record and try again. No verdict depends on how often or
 * for how long a completion was refused. A failure report carries no work, so it is discarded once
 * its claim is certainly over. */
#ifndef AGENT_DELIVERY_H
#define AGENT_DELIVERY_H

#include "agent/api/http.h"

#include "tailslate/backoff.h"

enum delivery {
    DELIVERY_ACKNOWLEDGED, /* rows 1-5 */
    DELIVERY_AGAIN,        /* rows 8, 9, and anything that is not a verdict */
    DELIVERY_HOLD,         /* rows 10-12: a person must act; retry slowly, raise an alarm */
    DELIVERY_RETAIN,     /* rows 6, 7, and a refused failure report whose claim is over: remove the
                            record from the spool, retain its output */
    DELIVERY_QUARANTINE, /* rows 3, 13 */
    DELIVERY_REUPLOAD,   /* row 14 */
    DELIVERY_ASK,        /* a stock "already completed", which may be untrue: ask verify-complete */
    DELIVERY_RECLAIM,    /* a stock 409 or 403: the claim is lost; reclaim the job */
    DELIVERY_SILENT,     /* verify-complete could not tell: wait, then bypass the cache */
    DELIVERY_COUNT,
};
const char *delivery_name(enum delivery delivery); /* "acknowledged" */

/* A stock server answers a completion whose token it has seen within the last 900 s from Redis,
 * without checking that it was committed. Without the token in its body, the same completion is
 * answered from the database. If both were in flight at once, both would be carried out; hence the
 * pause. Returns how much of the pause is left, by the wall clock because it must survive a
 * restart, and never more than the whole pause. */
enum { DELIVERY_SILENCE_MS = 60 * 1000 };
int64_t delivery_silence_left_ms(int64_t since_us, int64_t now_us);

struct delivery_report {
    bool is_failure;
    const char *token;  /* the claim's */
    bool is_claim_over; /* delivery_is_claim_over; for a failure report */
    bool past_cache;    /* sent without its token: a stock server answers from its database */
};

struct delivery_judgment {
    enum delivery delivery;
    enum tailslate_problem problem;
    tailslate_quality_set missing; /* REUPLOAD: 0 = all */
    bool is_about_job; /* HOLD: because of this job alone, not because of the key, the URL or the
                          server */
    char why[256];     /* one line, for log and status; "" when acknowledged */
    const char *hint;  /* what a person can do; NULL: nothing. With static lifetime */
};

/* Is the claim of a failure report that was sealed at sealed_us over? Nobody has extended it since.
 * lease_ms: how long claims last here; an implausible value counts as the maximum. */
enum { DELIVERY_LEASE_MIN_MS = 10 * 60 * 1000 };
bool delivery_is_claim_over(int64_t sealed_us, int64_t lease_ms, int64_t now_us);

void delivery_judge(const struct delivery_report *report, const struct http_answer *answer,
                    struct delivery_judgment *judgment);
/* The answer to verify-complete, after ASK. */
void delivery_judge_verification(const struct http_answer *answer,
                                 struct delivery_judgment *judgment);

/* The answer to `claim?job_id=`, after RECLAIM. True: the job is ours again, under `given`. False:
 * the judgment says how to go on: AGAIN if there was no usable answer, HOLD if it was refused. */
bool delivery_judge_reclaim(int64_t job_id, const struct http_answer *answer,
                            struct message_claim *given, struct delivery_judgment *judgment);

/* The server refuses this one job, but accepts the key and other requests. A 403 or 409 without a
 * code counts only if the job cannot be reclaimed either. */
bool delivery_refuses_job(const struct http_answer *answer);
/* How long to wait before presenting a report that has been refused for this long. In the first
 * minutes: half the cap to the cap. After that: half to all of its age divided by two, at most an
 * hour. So a refusal that lasts for days causes few requests. */
enum { DELIVERY_HOLD_MAX_MS = 3600 * 1000 };
int64_t delivery_hold_ms(struct tailslate_backoff policy, int64_t refused_ms,
                         int64_t retry_after_ms, uint64_t random);

/* When to try again, for AGAIN, HOLD and SILENT; failures counts from 1. */
int64_t delivery_delay_ms(enum delivery delivery, struct tailslate_backoff policy,
                          unsigned failures, int64_t retry_after_ms, uint64_t random);

#endif
