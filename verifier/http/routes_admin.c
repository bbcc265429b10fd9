#include "verifier/http/routes_admin.h"

#include "base/clock.h"
#include "base/log.h"
#include "lib/cleanup.h"
#include "verifier/base/number.h"
#include "verifier/base/wakeup.h"
#include "verifier/store/store_json.h"
#include "verifier/store/store_list.h"
#include "verifier/store/store_operation.h"

#include <stdio.h>
#include <string.h>

enum { JOBS_DEFAULT = 100, DETAIL_BYTES = 256 };

/* ---- reading ---- */

static bool take_number(const struct request *request, const char *name, int64_t min, int64_t max,
                        int64_t *number, struct answer *answer)
{
    char detail[DETAIL_BYTES];
    const char *text = request_query(request, name);
    if (!text || (number_parse(text, number) && *number >= min && *number <= max))
        return true;
    snprintf(detail, sizeof detail, "%s: must be an integer from %lld to %lld", name,
             (long long)min, (long long)max);
    answer_problem(answer, TAILSLATE_PROBLEM_INVALID_FIELD, detail);
    return false;
}

static bool parse_filter(const struct request *request, struct store_job_filter *filter,
                         char since[WALL_TEXT_BYTES], struct answer *answer)
{
    int64_t since_us;
    *filter = (struct store_job_filter){.status = request_query(request, "status"),
                                        .worker = request_query(request, "worker"),
                                        .limit = JOBS_DEFAULT};
    if (filter->status && !store_job_status_is_known(filter->status)) {
        answer_problem(answer, TAILSLATE_PROBLEM_INVALID_FIELD,
                       "status: must be pending, processing, ready or failed");
        return false;
    }
    const char *text = request_query(request, "since");
    if (text && !wall_parse(text, &since_us)) {
        answer_problem(answer, TAILSLATE_PROBLEM_INVALID_FIELD,
                       "since: must be a time like 2026-01-03T16:28:00Z");
        return false;
    }
    if (text) {
        wall_format(since_us, since);
        filter->since = since;
    }
    return take_number(request, "limit", 1, STORE_LIST_MAX, &filter->limit, answer) &&
           take_number(request, "before", 1, INT64_MAX, &filter->before, answer);
}

void route_jobs(struct request *request, struct answer *answer)
{
    struct store_job_filter filter;
    char since[WALL_TEXT_BYTES];
    struct json *list;
    bool more;
    struct error err;
    if (!parse_filter(request, &filter, since, answer))
        return;
    if (store_job_list_json(request->app->store, &filter, &list, &more, &err) != 0)
        return answer_error(answer, request, &err);
    struct json *root = json_new_object();
    json_set(root, "jobs", list);
    json_set_bool(root, "more", more);
    answer_object(answer, root);
}

static void read_one(struct request *request, struct answer *answer)
{
    struct store_details details;
    struct error err;
    if (store_job_details(request->app->store, request->number, &details, &err) != 0)
        return answer_error(answer, request, &err);
    if (!details.found)
        return answer_problem(answer, TAILSLATE_PROBLEM_JOB_NOT_FOUND, NULL);
    answer_object(answer, store_details_json(&details));
}

/* ---- operations ---- */

/* done: what is said of a job where it was done. */
static void answer_operation(struct request *request, struct answer *answer, const char *operation,
                             const struct store_operated *result, const char *done)
{
    char text[DETAIL_BYTES];
    if (result->was == STORE_JOB_NONE)
        return answer_problem(answer, TAILSLATE_PROBLEM_JOB_NOT_FOUND, NULL);
    snprintf(text, sizeof text, "job %lld: %s", (long long)request->number,
             result->refused ? result->refused : done);
    if (result->refused)
        return answer_problem(answer, TAILSLATE_PROBLEM_WRONG_STATE, text);
    log_info("job.operation", LOG_TEXT("operation", operation), LOG_INT("job", request->number),
             LOG_TEXT("client", request->client), LOG_TEXT("request_id", request->id));
    wakeup_notify(request->app->wakeup);
    struct json *root = json_new_object();
    json_set_text(root, "status", "ok");
    json_set_text(root, "message", text);
    answer_object(answer, root);
}

void route_job_retry(struct request *request, struct answer *answer)
{
    struct store_operated result;
    struct error err;
    if (store_job_retry(request->app->store, request->number, &result, &err) != 0)
        return answer_error(answer, request, &err);
    answer_operation(request, answer, "retry", &result, "waits for a worker again");
}

static void answer_retried(struct request *request, struct answer *answer, int64_t retried,
                           int64_t after)
{
    struct error err;
    int64_t remaining = 0;
    TEXT(text) = must_printf("%lld failed job%s wait%s for a worker again", (long long)retried,
                             retried == 1 ? "" : "s", retried == 1 ? "s" : "");
    if (store_job_count_failed(request->app->store, after, &remaining, &err) != 0)
        return answer_error(answer, request, &err);
    struct json *root = json_new_object();
    json_set_text(root, "status", "ok");
    json_set_text(root, "message", text);
    json_set_int(root, "retried", retried);
    json_set_int(root, "remaining", remaining);
    json_set_int(root, "after", after);
    answer_object(answer, root);
}

/* One batch of a call: a thousand rows in one transaction would keep others waiting. */
void route_jobs_retry(struct request *request, struct answer *answer)
{
    struct error err;
    int64_t after = 0, retried;
    const char *status = request_query(request, "status");
    if (!status || strcmp(status, "failed") != 0)
        return answer_problem(answer, TAILSLATE_PROBLEM_INVALID_FIELD, "status: must be failed");
    if (!take_number(request, "after", 0, INT64_MAX, &after, answer))
        return;
    if (store_job_retry_failed(request->app->store, &after, &retried, &err) != 0)
        return answer_error(answer, request, &err);
    log_info("job.operation", LOG_TEXT("operation", "retry_failed"), LOG_INT("jobs", retried),
             LOG_TEXT("client", request->client), LOG_TEXT("request_id", request->id));
    if (retried > 0)
        wakeup_notify(request->app->wakeup);
    answer_retried(request, answer, retried, after);
}

void route_job_cancel(struct request *request, struct answer *answer)
{
    struct store_operated result;
    struct error err;
    if (store_job_cancel(request->app->store, request->number, &result, &err) != 0)
        return answer_error(answer, request, &err);
    answer_operation(request, answer, "cancel", &result, "is cancelled");
}

static const char *refusal_of_release(enum store_release released)
{
    switch (released) {
    case STORE_RELEASED:
        return NULL;
    case STORE_RELEASE_UNCLAIMED:
        return "it is not claimed";
    case STORE_RELEASE_COMPLETED:
        return "it has ended and cannot be released";
    case STORE_RELEASE_NO_JOB:
        break;
    }
    return "there is no such job";
}

void route_job_release(struct request *request, struct answer *answer)
{
    enum store_release released;
    struct error err;
    if (store_job_release(request->app->store, request->number, &released, &err) != 0)
        return answer_error(answer, request, &err);
    struct store_operated result = {.was = released == STORE_RELEASE_NO_JOB ? STORE_JOB_NONE
                                                                            : STORE_JOB_CLAIMED,
                                    .refused = refusal_of_release(released)};
    answer_operation(request, answer, "release", &result, "can be claimed again");
}

void route_job_priority(struct request *request, struct answer *answer)
{
    JSON(body) = route_body_object(request, answer);
    struct store_operated result;
    struct error err;
    int64_t priority;
    if (!body)
        return;
    if (json_get_int(body, "priority", -STORE_PRIORITY_MAX, STORE_PRIORITY_MAX, &priority) !=
        JSON_FOUND)
        return answer_problem(answer, TAILSLATE_PROBLEM_INVALID_FIELD,
                              "priority: must be an integer from -1000 to 1000");
    if (store_job_set_priority(request->app->store, request->number, priority, &result, &err) != 0)
        return answer_error(answer, request, &err);
    answer_operation(request, answer, "priority", &result, "has another priority");
}

static bool parse_qualities(const struct json *body, tailslate_quality_set *qualities)
{
    const struct json *list = json_get(body, "qualities");
    *qualities = 0;
    if (list && !json_is_array(list))
        return false;
    for (const struct json *node = list ? json_first(list) : NULL; node; node = json_next(node)) {
        enum tailslate_quality quality;
        const char *name = json_text(node);
        if (!name || !tailslate_quality_parse(name, &quality))
            return false;
        *qualities |= 1u << quality;
    }
    return true;
}

void route_job_retranscode(struct request *request, struct answer *answer)
{
    JSON(body) = route_body_object(request, answer);
    struct store_operated result;
    struct error err;
    tailslate_quality_set qualities;
    if (!body)
        return;
    if (!parse_qualities(body, &qualities))
        return answer_problem(answer, TAILSLATE_PROBLEM_INVALID_FIELD,
                              "qualities: must be a list of renditions");
    if (store_job_retranscode(request->app->store, request->number, qualities, &result, &err) != 0)
        return answer_error(answer, request, &err);
    answer_operation(request, answer, "retranscode", &result, "waits to be transcoded again");
}

static void delete_one(struct request *request, struct answer *answer)
{
    const char *files = request_query(request, "files");
    struct store_operated result;
    struct error err;
    bool with_files = files && strcmp(files, "true") == 0;
    if (files && !with_files && strcmp(files, "false") != 0)
        return answer_problem(answer, TAILSLATE_PROBLEM_INVALID_FIELD,
                              "files: must be true or false");
    if (store_job_delete(request->app->store, request->number, with_files, &result, &err) != 0)
        return answer_error(answer, request, &err);
    answer_operation(request, answer, "delete", &result,
                     with_files ? "is deleted; its files are in the trash" : "is deleted");
}

void route_one_job(struct request *request, struct answer *answer)
{
    if (strcmp(request->method, "DELETE") == 0)
        delete_one(request, answer);
    else
        read_one(request, answer);
}
