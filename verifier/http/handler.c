#include "verifier/http/handler.h"

#include <string.h>

bool route_parse_checksum(const char *text, char hex[HASH_HEX_BYTES])
{
    static const char prefix[] = "sha256:";
    if (text && strncmp(text, prefix, sizeof prefix - 1) == 0)
        text += sizeof prefix - 1;
    if (!text || strlen(text) != HASH_HEX_BYTES - 1 ||
        strspn(text, "0123456789abcdefABCDEF") != HASH_HEX_BYTES - 1)
        return false;
    for (size_t i = 0; i < HASH_HEX_BYTES; i++)
        hex[i] = (char)(text[i] >= 'A' && text[i] <= 'F' ? text[i] - 'A' + 'a' : text[i]);
    return true;
}

struct store_caller route_caller(const struct request *request)
{
    return (struct store_caller){&request->worker, request->claim_epoch};
}

bool route_read_job(struct request *request, struct answer *answer,
                    enum tailslate_standing *standing, struct store_job *job)
{
    struct store_caller caller = route_caller(request);
    struct error err;
    int64_t job_id;
    if (store_job_of_video(request->app->store, request->number, &job_id, &err) != 0 ||
        store_caller_standing(request->app->store, &caller, job_id, standing, job, &err) != 0) {
        answer_error(answer, request, &err);
        return false;
    }
    enum tailslate_problem problem = tailslate_verify_standing_problem(*standing);
    if (problem == TAILSLATE_PROBLEM_NONE || *standing == TAILSLATE_STANDING_COMPLETED)
        return true;
    answer_problem(answer, problem, NULL);
    return false;
}
