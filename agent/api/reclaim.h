/* reclaim: when a stock server says that the claim is lost, claim the same job again.
 *
 * The request and its answer, shared by courier and step. What a refusal means for the work, and
 * how the record is bound to the new claim, is up to them (courier.c, session_reclaim below). */
#ifndef AGENT_RECLAIM_H
#define AGENT_RECLAIM_H

#include "agent/api/delivery.h"
#include "agent/spool/record.h"

struct session;

enum {
    SESSION_RECLAIMS_MAX = 3, /* for one job without an outcome, in one run of its step */
};

struct http_call *reclaim_start(struct http_client *client, int64_t job_id, http_done *done,
                                void *ctx);
/* True: the job is ours again, under *claim, which has its own new token and is not on disk yet.
 * False: see delivery_judge_reclaim. */
bool reclaim_read(int64_t job_id, const struct http_answer *answer, struct record_claim *claim,
                  struct delivery_judgment *judgment);

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

/* Called by session_answer.c. Reclaims the job, unless a reclaim is under way or not due yet. */
void session_reclaim(struct session *session, const struct http_answer *refusal);

#endif
