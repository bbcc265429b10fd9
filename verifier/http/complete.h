/* complete: the handler of a completion, in the order that the promises need: look, gate,
 * transaction, gate again, answer.
 *
 * Refuses to acknowledge: what it gives is what the database said last. The gate only keeps copies
 * of one completion from working at the same time: it is left on every way out. */
#ifndef VERIFIER_COMPLETE_H
#define VERIFIER_COMPLETE_H

#include "verifier/http/handler.h"
#include "verifier/store/store_job.h"

/* As store_complete. gate NULL: none. */
int complete_job(struct store *store, struct gate *gate, const struct store_caller *caller,
                 int64_t job_id, const struct tailslate_completion *completion,
                 struct tailslate_result *result, struct error *err);

route_handler route_complete, route_verify_complete;

#endif
