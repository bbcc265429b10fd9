/* delivery: what an answer to a sealed report means. Pure; the table of
 * docs/PROMISES.md#the-verdicts from the agent's side, for our verifier and for a stock server.
 *
 * Final is only an answer with a JSON body and one of our codes under its own status, or an
 * acknowledgement that is about this very token. Everything else (a proxy's page, a stock 409, a
 * redirect, a cut body, silence) means: keep the record and try again. No verdict here depends on
 * how often or how long a completion was refused. A failure report has no work behind it: refused
 * when its claim is over for certain, it is set aside. */
#ifndef AGENT_DELIVERY_H
#define AGENT_DELIVERY_H

#include "agent/api/http.h"

#include "tailslate/backoff.h"

enum delivery {
    DELIVERY_ACKNOWLEDGED, /* rows 1-5 */
    DELIVERY_AGAIN,        /* rows 8, 9, and whatever is no verdict */
    DELIVERY_HOLD,         /* rows 10-12: a person must act; slow retry, alarm */
    DELIVERY_KEEP,         /* rows 6, 7, and a refused failure report whose claim is over: drop the
                            * record, keep what it holds */
    DELIVERY_QUARANTINE,   /* rows 3, 13 */
    DELIVERY_REUPLOAD,     /* row 14 */
    DELIVERY_ASK,          /* a stock "already completed": may be a lie, ask verify-complete */
    DELIVERY_RECLAIM,      /* a stock 409 or 403: the claim went, ask for this job again */
    DELIVERY_SILENT,       /* that could not tell: a pause, then past the stock server's cache */
    DELIVERY_COUNT,
};
const char *delivery_name(enum delivery delivery); /* "acknowledged" */

/* A stock server answers a completion whose token it has seen within 900 s out of Redis, and does
 * not look whether it was committed. The same completion without the token in its body is answered
 * from its database. It must not meet the first one on its way, or both are carried out: hence the
 * pause. How much of it is left, by the wall clock, since it is kept over restarts; never more than
 * all. */
enum { DELIVERY_SILENCE_MS = 60 * 1000 };
int64_t delivery_silence_left_ms(int64_t since_us, int64_t now_us);

struct delivery_report {
    bool is_failure;
    const char *token;  /* the claim's */
    bool is_claim_over; /* delivery_is_claim_over; of a failure report */
    bool past_cache;    /* sent without its token: what a stock server says is from its database */
};

struct delivery_judgement {
    enum delivery delivery;
    enum tailslate_problem problem;
    tailslate_quality_set missing; /* REUPLOAD: 0 = all */
    bool is_about_job; /* HOLD: of this job alone, and not of the key, the URL or the server */
    char why[256];     /* one line, for log and status; "" when acknowledged */
};

/* The claim of a failure report that was sealed at sealed_us: nobody has extended it since.
 * lease_ms: how long claims last here; one that makes no sense counts as the longest. */
enum { DELIVERY_LEASE_MIN_MS = 10 * 60 * 1000 };
bool delivery_is_claim_over(int64_t sealed_us, int64_t lease_ms, int64_t now_us);

void delivery_judge(const struct delivery_report *report, const struct http_answer *answer,
                    struct delivery_judgement *judgement);
/* The answer to verify-complete, after ASK. */
void delivery_judge_verification(const struct http_answer *answer,
                                 struct delivery_judgement *judgement);

/* The answer to `claim?job_id=`, after RECLAIM. True: the job is ours again, by `given`. Else the
 * judgement says how to go on: AGAIN where nobody has answered, HOLD where it is refused. */
bool delivery_judge_reclaim(int64_t job_id, const struct http_answer *answer,
                            struct message_claim *given, struct delivery_judgement *judgement);

/* A refusal of this one job, as a server says it that is otherwise fine with us. A 403 or 409
 * without a code is one only when the job cannot be claimed again either. */
bool delivery_refuses_job(const struct http_answer *answer);
/* How long to wait with what has been refused for so long: half of the cap to the cap, in the first
 * minutes; then half to all of half its age, at most an hour. Asked for days it costs little. */
enum { DELIVERY_HOLD_MAX_MS = 3600 * 1000 };
int64_t delivery_hold_ms(struct tailslate_backoff policy, int64_t refused_ms,
                         int64_t retry_after_ms, uint64_t random);

/* When to try again, for AGAIN, HOLD and SILENT; failures counts from 1. */
int64_t delivery_delay_ms(enum delivery delivery, struct tailslate_backoff policy,
                          unsigned failures, int64_t retry_after_ms, uint64_t random);

#endif
