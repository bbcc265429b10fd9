/* reclaim: when a stock server says that the claim is lost, claim the same job again.
 *
 * The request and its answer, shared by courier and step. What a refusal means for the work, and
 * how the record is bound to the new claim, is up to them (courier.c, session_reclaim.c). */
#ifndef AGENT_RECLAIM_H
#define AGENT_RECLAIM_H

#include "agent/api/delivery.h"
#include "agent/spool/record.h"

struct http_call *reclaim_start(struct http_client *client, int64_t job_id, http_done *done,
                                void *ctx);
/* True: the job is ours again, under *claim, which has its own new token and is not on disk yet.
 * False: see delivery_judge_reclaim. */
bool reclaim_read(int64_t job_id, const struct http_answer *answer, struct record_claim *claim,
                  struct delivery_judgement *judgement);

#endif
