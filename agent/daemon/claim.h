/* claim: claims a job when a slot is free, by long polling if the server supports it.
 *
 * The token is created here, once per claim, and is durable together with the claim before a step
 * can use it. If the spool already holds work for the claimed job, no transcode starts: the record
 * is bound to the new claim. The same applies to finished work in kept/ if its claim was lost
 * recently and the job is unchanged, because the answer to a claim may arrive after the refusal
 * that it explains, or get lost. A claim that cannot be written (full disk) is held in memory and
 * retried as long as it is valid. Meanwhile nothing else is claimed and nothing is reported about
 * it; if the disk stays full the claim expires, which does not cost the job an attempt. */
#ifndef AGENT_CLAIM_H
#define AGENT_CLAIM_H

#include "agent/daemon/node.h"

enum {
    CLAIM_DEADLINE_SLACK_MS = 15 * 1000,
    CLAIM_PATH_BYTES = 64,
};

struct claim {
    struct node *node;
    struct http_call *call;
    int64_t asked_ms, due_ms;
    unsigned failures;
    struct record_waiting waiting;   /* since the last answer without a job */
    struct record_waiting logged;    /* waiting.c: what the log has said last */
    struct record_claim *unrecorded; /* answered, but not on disk yet */
    int64_t expires_ms;              /* monotonic, for `unrecorded` */
    unsigned rebinds;                /* in a row */
};

void claim_register_metrics(void);
int64_t claim_tick(struct claim *claim, int64_t now_ms);
/* Cancels the long poll: the server checks for that before it assigns a job. */
void claim_cancel(struct claim *claim);

/* Pure: when to ask again after an answer without a job. */
int64_t claim_pause_ms(int64_t wait_ms, int64_t took_ms, int64_t poll_ms, uint64_t random);

#endif
