/* complete: the handler of a completion, in the order that the promises need: look, gate,
 * transaction, gate again, answer.
 *
 * Refuses to acknowledge: what it gives is what the database said last. */
#ifndef VERIFIER_COMPLETE_H
#define VERIFIER_COMPLETE_H

#include "store.h"

/* As store_complete. */
int complete_job(struct store *store, const struct store_caller *caller, int64_t job_id,
                 const struct message_completion *completion, struct store_completed *result,
                 struct error *err);

#endif
