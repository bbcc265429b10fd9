/* outbox: from a claim to the acknowledgment of its completion, in a directory of its own.
 *
 * For each claim a worker keeps one record here. tailslate_outbox_claim mints the completion token
 * and writes it; tailslate_outbox_seal adds the completion, once the work is done and uploaded;
 * tailslate_outbox_deliver presents it, by the caller's `send`, until the server acknowledges this
 * very token. Each step is durable before the function returns, so that a
 * worker may die at any point: it opens the outbox again and goes on.
 *
 * NOTHING THAT IS SEALED IS EVER DELETED WITHOUT AN ACKNOWLEDGMENT. What the server refuses for
 * good (the job went to somebody else, the completion is invalid) is moved to `refused/` below the
 * directory, for a person. Everything else is presented again, with full jitter, forever: refusals
 * that a person can lift (a bad key, a wrong URL) between half of the cap and the cap. An answer is
 * judged by answer.h; how often something was refused changes nothing.
 *
 *     DIRECTORY/{job_id}.json         a claim, and its completion once it is sealed
 *     DIRECTORY/refused/{token}.json  refused for good
 *
 * One process at a time has an outbox open, and one thread at a time calls it; `send` and `report`
 * must not call back into it. The functions neither sleep nor read a clock: the caller passes the
 * time, and waits as long as tailslate_outbox_deliver says. Where a function fails,
 * tailslate_outbox_error is a sentence about it, and the call may be repeated: a failure says
 * nothing about what is on the disk, and each of them finds what is. */
#ifndef TAILSLATE_OUTBOX_H
#define TAILSLATE_OUTBOX_H

#include "tailslate/answer.h"
#include "tailslate/backoff.h"
#include "tailslate/completion.h"

enum {
    TAILSLATE_OUTBOX_JOBS_MAX = 1024,          /* records at a time, not counting refused ones */
    TAILSLATE_OUTBOX_ANSWER_BYTES = 64 * 1024, /* of an answer's body; a longer one is cut off */
};

struct tailslate_outbox;

/* Open the directory, creating it if it does not exist (its parent must exist). NULL: `reason` says
 * why. */
struct tailslate_outbox *tailslate_outbox_open(const char *directory,
                                               char reason[TAILSLATE_REASON_BYTES]);
void tailslate_outbox_close(struct tailslate_outbox *outbox); /* NULL is fine */
const char *tailslate_outbox_error(const struct tailslate_outbox *outbox);

enum tailslate_outbox_claim {
    TAILSLATE_OUTBOX_FAILED = -1,
    TAILSLATE_OUTBOX_OPEN,   /* on record: do the work */
    TAILSLATE_OUTBOX_SEALED, /* the work was done before: deliver, and do not do it again */
};

/* Record a claim: the job and its epoch (TAILSLATE_ABSENT_INT: the server has no epochs).
 * Idempotent: the same claim keeps its token. Another epoch is another claim and gets a new token;
 * but a sealed completion keeps its token, and is from now on presented under the new epoch. */
enum tailslate_outbox_claim tailslate_outbox_claim(struct tailslate_outbox *outbox, int64_t job_id,
                                                   int64_t claim_epoch,
                                                   char token[TAILSLATE_TOKEN_BYTES]);

/* The work is done. The token of `completion` is not used: it is the claim's. What is sealed stays:
 * a second completion for the same claim is ignored, so that a token never stands for two. 0, or
 * -1. */
int tailslate_outbox_seal(struct tailslate_outbox *outbox, int64_t job_id,
                          const struct tailslate_completion *completion);

/* The jobs that are claimed here and not sealed. What an earlier process left is among them: a
 * worker resumes or abandons it when it starts, or the outbox fills up. Returns how many there are.
 */
size_t tailslate_outbox_unsealed(const struct tailslate_outbox *outbox,
                                 int64_t job_ids[TAILSLATE_OUTBOX_JOBS_MAX]);

/* Forget a claim whose work is not done and will not be. -1 where it is sealed. */
int tailslate_outbox_abandon(struct tailslate_outbox *outbox, int64_t job_id);

/* What to send: POST /api/worker/{job_id}/complete, the body as application/json, the token as
 * Idempotency-Key where it is not "", the epoch as X-Claim-Epoch where it is not
 * TAILSLATE_ABSENT_INT. */
struct tailslate_outbox_post {
    int64_t job_id, claim_epoch;
    const char *token, *body;
};

/* What came back. All zero before `send`, except reach (TAILSLATE_REACH_UNREACHED) and
 * retry_after_ms (-1). */
struct tailslate_outbox_answer {
    enum tailslate_reach reach;
    long status;
    char content_type[128];
    int64_t retry_after_ms; /* Retry-After; -1: none */
    char body[TAILSLATE_OUTBOX_ANSWER_BYTES];
    size_t body_size;
};

enum tailslate_outbox_outcome {
    TAILSLATE_OUTBOX_AGAIN,        /* no verdict: presented again */
    TAILSLATE_OUTBOX_ACKNOWLEDGED, /* the server has it, and the record is gone */
    TAILSLATE_OUTBOX_HELD,         /* refused for now: a person has to act; presented again */
    TAILSLATE_OUTBOX_UPLOAD,       /* upload the renditions `missing` again; presented again */
    TAILSLATE_OUTBOX_CLAIM_GONE,   /* a stock server wants a claim for it: claim this job again */
    TAILSLATE_OUTBOX_REFUSED,      /* for good: the record is in refused/ */
    TAILSLATE_OUTBOX_LOCAL,        /* this side's disk, or a record that cannot be read; again */
};

struct tailslate_outbox_report {
    int64_t job_id;
    enum tailslate_outbox_outcome outcome;
    enum tailslate_problem problem; /* TAILSLATE_PROBLEM_NONE: the answer has no code of ours */
    tailslate_quality_set missing;  /* UPLOAD: 0 = all */
    const char *why;                /* one line, "" where there is nothing to add */
};

struct tailslate_outbox_sender {
    void *ctx;
    void (*send)(void *ctx, const struct tailslate_outbox_post *post,
                 struct tailslate_outbox_answer *answer);
    /* After each attempt; may be NULL. */
    void (*report)(void *ctx, const struct tailslate_outbox_report *report);
    struct tailslate_backoff backoff;
};

/* Present each sealed completion whose time has come, once. now_ms: of any clock that only goes
 * forward, always the same. Returns how long to wait until the next one, in milliseconds; 0 or
 * more, or -1: nothing sealed is left. */
int64_t tailslate_outbox_deliver(struct tailslate_outbox *outbox, int64_t now_ms,
                                 const struct tailslate_outbox_sender *sender);

#endif
