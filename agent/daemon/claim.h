/* claim: asks for work while a slot is free, by long poll where the server has it.
 *
 * The token is made here, once per claim, and is durable together with the claim before a step can
 * know of it. A claim of a job whose work the spool holds starts no transcode: the record is bound
 * to the new claim. So is finished work in kept/, where its claim was lost not long ago and the job
 * is still the same: the answer of a claim may come after the refusal that it explains, or get lost
 * on its way. A claim that cannot be written (a full disk) is held in memory and tried again
 * as long as it is valid; nothing else is claimed meanwhile, nothing is reported about it, and if
 * the disk stays full it expires, which charges the job no attempt. */
#ifndef AGENT_CLAIM_H
#define AGENT_CLAIM_H

#include "agent/daemon/node.h"

enum {
    CLAIM_DEADLINE_SLACK_MS = 15 * 1000,
    CLAIM_PATH_BYTES = 64,
    CLAIM_TAKE_BACK_HOURS = 48, /* older kept work is not trusted to be of today's source */
};

struct claim {
    struct node *node;
    struct http_call *call;
    int64_t asked_ms, due_ms;
    unsigned failures;
    char reason[NODE_REASON_BYTES];  /* of the last failure; "" = none */
    struct record_claim *unrecorded; /* answered, but not on the disk yet */
    int64_t expires_ms;              /* monotonic, of `unrecorded` */
    unsigned rebinds;                /* in a row */
};

void claim_register_metrics(void);
int64_t claim_tick(struct claim *claim, int64_t now_ms);
/* Hangs the long poll up: a server looks for that before it hands out a job. */
void claim_cancel(struct claim *claim);

/* Binds a finished record to a new claim of its job, durably: new token, new epoch. It is to be
 * presented at once; what is under way about the former claim is called off. -1 with code ENOTUNIQ
 * where the claim is about another film: the record is on hold then, by an order as an operator's.
 */
int claim_rebind(struct live *live, const struct record_claim *claim, struct error *err);

/* Pure: when to ask again after an answer without a job. */
int64_t claim_pause_ms(int64_t wait_ms, int64_t took_ms, int64_t poll_ms, uint64_t random);

#endif
