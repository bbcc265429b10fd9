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

struct json *route_body_object(const struct request *request, struct answer *answer)
{
    struct error err;
    /* Every member is optional, so an empty body is an empty object. */
    struct json *body = request->body_size == 0
                            ? json_new_object()
                            : json_parse(request->body, request->body_size, &err);
    if (body && json_is_object(body))
        return body;
    answer_problem(answer, TAILSLATE_PROBLEM_BAD_JSON,
                   body ? "JSON: expected an object" : err.message);
    json_free(body);
    return NULL;
}
