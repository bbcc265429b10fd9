#include "complete.h"

#include "tailslate/crash.h"

int complete_job(struct store *store, const struct store_caller *caller, int64_t job_id,
                 const struct message_completion *completion, struct store_completed *result,
                 struct error *err)
{
    /* Replays and refusals need neither gate nor lock. */
    if (store_complete_look(store, caller, job_id, completion, result, err) != 0)
        return -1;
    if (!verify_commits(result->verdict))
        return 0;
    int done = store_complete(store, caller, job_id, completion, result, err);
    crash_point(CRASH_VERIFIER_ANSWERING);
    return done;
}
