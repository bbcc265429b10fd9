/* store_complete: a completion takes effect, at most once (ledger.h). */
#ifndef VERIFIER_STORE_COMPLETE_H
#define VERIFIER_STORE_COMPLETE_H

#include "verifier/store/store_job.h"

#include "tailslate/ledger.h"

/* What the database says now, without a lock: a verdict that does not commit is the answer, one
 * that does (COMMIT, COMMIT_LATE) is worth a transaction: store_complete decides again in it. The
 * files are not checked. complete.c combines the two. */
int store_complete_read(struct store *store, const struct store_caller *caller, int64_t job_id,
                        const struct tailslate_completion *completion,
                        struct tailslate_result *result, struct error *err);
int store_complete(struct store *store, const struct store_caller *caller, int64_t job_id,
                   const struct tailslate_completion *completion, struct tailslate_result *result,
                   struct error *err);
/* A hint: this process has acknowledged a completion of the job, and so the next one is probably
 * the same again, for which store_complete_read is enough. */
bool store_completed_lately(struct store *store, int64_t job_id);

#endif
