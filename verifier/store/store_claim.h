/* store_claim: a job for a worker. */
#ifndef VERIFIER_STORE_CLAIM_H
#define VERIFIER_STORE_CLAIM_H

#include "verifier/store/store_job.h"

/* job_id 0: any job. Sets claim->job_id to 0 if there is no job. */
int store_claim(struct store *store, const struct store_worker *worker, int64_t job_id,
                struct message_claim *claim, struct error *err);

/* How many jobs somebody might get now, at most max: those that wait, and claims that may be
 * released. Whether a certain worker gets one, only store_claim says. */
int store_count_claimable(struct store *store, int max, int *count, struct error *err);

#endif
