/* complete: a completion, in the order that the promises need: read, enter the gate, transaction,
 * leave the gate, answer; and its verification. Without a gate only what is probably a replay is
 * read first.
 *
 * Acknowledges only what the database has committed. The gate only keeps copies of one completion
 * from working at the same time, and is left on every path. */
#ifndef VERIFIER_COMPLETE_H
#define VERIFIER_COMPLETE_H

#include "verifier/http/handler.h"
#include "verifier/store/store_job.h"

/* Like store_complete, through the gate. gate NULL: without one. */
int complete_job(struct store *store, struct gate *gate, const struct store_caller *caller,
                 int64_t job_id, const struct tailslate_completion *completion,
                 struct tailslate_result *result, struct error *err);

route_handler route_complete, route_verify_complete;

#endif
