#include "verifier/http/routes_worker.h"

#include "base/log.h"
#include "lib/cleanup.h"
#include "verifier/base/wakeup.h"

#include <stdio.h>
#include <string.h>

enum { NAME_MAX_BYTES = 100, TYPE_MAX_BYTES = 16, OBJECT_MAX_BYTES = 10000 };

/* An optional object as one line of JSON; false: it is something else, or too large. */
static bool take_object(const struct json *body, const char *key, char **text)
{
    const struct json *member = json_get(body, key);
    if (!member)
        return true;
    if (!json_is_object(member))
        return false;
    *text = json_print(member);
    return strlen(*text) <= OBJECT_MAX_BYTES;
}

static bool take_text(const struct json *body, const char *key, size_t max_bytes,
                      const char *fallback, const char **text)
{
    *text = fallback;
    return json_get_text(body, key, max_bytes, text) != JSON_WRONG;
}

static void answer_registration(struct answer *answer, struct store_registration *registration)
{
    struct json *root = json_new_object();
    json_set_text(root, "worker_id", registration->worker_id);
    json_set_text(root, "api_key", registration->api_key);
    json_set_text(root, "message", "Registered. Save the key: it is not shown again.");
    answer_object(answer, root);
    explicit_bzero(registration->api_key, sizeof registration->api_key);
}

void route_register(struct request *request, struct answer *answer)
{
    JSON(body) = route_body_object(request, answer);
    if (!body)
        return;
    TEXT(capabilities) = NULL;
    TEXT(metadata) = NULL;
    struct store_registration registration = {0};
    struct error err;
    if (!take_text(body, "worker_name", NAME_MAX_BYTES, "worker", &registration.name))
        return answer_problem(answer, TAILSLATE_PROBLEM_INVALID_FIELD,
                              "worker_name: must be a string of at most 100 bytes");
    if (!take_text(body, "worker_type", TYPE_MAX_BYTES, "remote", &registration.type) ||
        (strcmp(registration.type, "remote") != 0 && strcmp(registration.type, "local") != 0))
        return answer_problem(answer, TAILSLATE_PROBLEM_INVALID_FIELD,
                              "worker_type: must be local or remote");
    if (!take_object(body, "capabilities", &capabilities) ||
        !take_object(body, "metadata", &metadata))
        return answer_problem(answer, TAILSLATE_PROBLEM_INVALID_FIELD,
                              "capabilities and metadata: must be objects of at most 10000 bytes");
    const struct json *listed = json_get(body, "capabilities");
    if (listed && !message_capabilities_check(listed, &err))
        return answer_problem(answer, TAILSLATE_PROBLEM_INVALID_FIELD, err.message);
    registration.capabilities = capabilities;
    registration.metadata = metadata;
    if (store_worker_register(request->app->store, &registration, &err) != 0)
        return answer_error(answer, request, &err);
    log_info("worker.registered", LOG_TEXT("worker", registration.worker_id),
             LOG_TEXT("name", registration.name), LOG_TEXT("request_id", request->id));
    answer_registration(answer, &registration);
}

void route_heartbeat(struct request *request, struct answer *answer)
{
    struct message_heartbeat heartbeat;
    struct error err;
    struct store_worker *worker = &request->worker;
    enum tailslate_problem problem = message_heartbeat_parse(request->body, request->body_size,
                                                             &heartbeat, &err);
    if (problem != TAILSLATE_PROBLEM_NONE)
        return answer_problem(answer, problem, err.message);
    bool version_ok = store_version_fits(request->app->store, heartbeat.code_version);
    char required[CODE_VERSION_BYTES];
    store_required_version(request->app->store, required);
    int done = store_heartbeat(request->app->store, worker, &heartbeat, &err);
    message_heartbeat_fini(&heartbeat);
    if (done != 0)
        return answer_error(answer, request, &err);

    char now[WALL_TEXT_BYTES];
    wall_format(wall_us(), now);
    struct json *root = json_new_object();
    json_set_text(root, "status", "ok");
    json_set_text(root, "server_time", now);
    json_set_filled(root, "required_version", required);
    json_set_bool(root, "version_ok", version_ok);
    json_set_text(root, "worker_status", worker->status);
    json_set_id(root, "current_job_id", worker->current_job_id);
    json_set_text(root, "last_heartbeat_recorded", worker->last_heartbeat);
    answer_object(answer, root);
}

static struct json *worker_object(const struct store_worker *worker)
{
    struct error ignored;
    const char *capabilities = worker->capabilities;
    struct json *object = store_worker_json(worker);
    json_set(object, "capabilities",
             capabilities ? json_parse(capabilities, strlen(capabilities), &ignored) : NULL);
    return object;
}

/* Of all workers, although the list ends at STORE_LIST_MAX. */
static void add_counts(struct json *root, const struct store_worker_state *states, size_t count)
{
    static const char *const known[] = {"active", "idle", "busy", "offline", "disabled"};
    int64_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += states[i].count;
    json_set_int(root, "total_count", total);
    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
        char key[32];
        int64_t in_state = 0;
        for (size_t i = 0; i < count; i++)
            in_state += strcmp(states[i].status, known[k]) == 0 ? states[i].count : 0;
        snprintf(key, sizeof key, "%s_count", known[k]);
        json_set_int(root, key, in_state);
    }
}

void route_workers(struct request *request, struct answer *answer)
{
    struct store_worker *workers;
    size_t count, state_count;
    struct store_worker_state states[STORE_WORKER_STATES_MAX];
    struct error err;
    if (store_worker_list(request->app->store, &workers, &count, &err) != 0 ||
        store_worker_count(request->app->store, states, &state_count, &err) != 0) {
        store_workers_free(workers, count);
        return answer_error(answer, request, &err);
    }
    struct json *root = json_new_object(), *list = json_new_array();
    for (size_t i = 0; i < count; i++)
        json_append(list, worker_object(&workers[i]));
    json_set(root, "workers", list);
    add_counts(root, states, state_count);
    store_workers_free(workers, count);
    answer_object(answer, root);
}

void route_revoke(struct request *request, struct answer *answer)
{
    bool found;
    struct error err;
    if (store_worker_revoke(request->app->store, request->name, &found, &err) != 0)
        return answer_error(answer, request, &err);
    if (!found)
        return answer_problem(answer, TAILSLATE_PROBLEM_NOT_FOUND, "There is no such worker.");
    log_info("worker.revoked", LOG_TEXT("worker", request->name),
             LOG_TEXT("request_id", request->id));
    struct json *root = json_new_object();
    json_set_text(root, "status", "ok");
    json_set_text(root, "message", "The worker is disabled and its keys are revoked.");
    answer_object(answer, root);
}
