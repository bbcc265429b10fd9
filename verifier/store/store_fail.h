/* store_fail: the failure of a claim. */
#ifndef VERIFIER_STORE_FAIL_H
#define VERIFIER_STORE_FAIL_H

#include "verifier/store/store_job.h"

enum { STORE_RETRY_DELAY_MAX_MS = 60 * 60 * 1000 };

struct store_failed {
    enum tailslate_standing standing;
    bool will_retry, replayed;
    int64_t attempt_number;
};
int store_fail(struct store *store, const struct store_caller *caller, int64_t job_id,
               const struct message_failure *failure, struct store_failed *result,
               struct error *err);

#endif
