#include "verifier/http/complete.h"

#include "base/crash.h"

int complete_job(struct store *store, struct gate *gate, const struct store_caller *caller,
                 int64_t job_id, const struct tailslate_completion *completion,
                 struct tailslate_result *result, struct error *err)
{
    /* Replays and refusals need neither gate nor lock. */
    if (store_complete_read(store, caller, job_id, completion, result, err) != 0)
        return -1;
    if (!tailslate_verify_commits(result->verdict))
        return 0;
    struct gate_pass pass;
    gate_enter(gate, job_id, completion->token, &pass);
    crash_point(CRASH_VERIFIER_GATE_ENTERED);
    int done = store_complete(store, caller, job_id, completion, result, err);
    bool committed = done == 0 && tailslate_verify_commits(result->verdict);
    if (committed)
        crash_point(CRASH_VERIFIER_COMMITTED);
    gate_leave(gate, &pass, committed);
    crash_point(CRASH_VERIFIER_ANSWERING);
    return done;
}
