#include "agent/api/reclaim.h"

#include "base/crash.h"
#include "lib/cleanup.h"

struct http_call *reclaim_start(struct http_client *client, int64_t job_id, http_done *done,
                                void *ctx)
{
    TEXT(path) = must_printf("/api/worker/claim?job_id=%lld", (long long)job_id);
    struct http_request request = http_post(path, NULL);
    return http_start(client, &request, done, ctx);
}

bool reclaim_read(int64_t job_id, const struct http_answer *answer, struct record_claim *claim,
                  struct delivery_judgement *judgement)
{
    struct message_claim given;
    if (!delivery_judge_reclaim(job_id, answer, &given, judgement))
        return false;
    crash_point(CRASH_AGENT_CLAIM_ANSWERED);
    record_claim_accept(&given, claim);
    return true;
}
