#include "base/message_heartbeat.h"

#include "lib/message_fields.h"

#include <stdlib.h>
#include <string.h>

enum { METADATA_MAX_BYTES = 10000, METADATA_MAX_KEYS = 20 };

static const char *const worker_status_names[] = {
    [WORKER_ACTIVE] = "active", [WORKER_BUSY] = "busy", [WORKER_IDLE] = "idle"};
static const char *const deployment_types[] = {"kubernetes", "systemd", "docker", "manual"};

/* For any other value a stock server refuses the whole request, and with it the sign of life. */
static const char *const capability_keys[] = {"hwaccel_enabled",
                                              "hwaccel_type",
                                              "gpu_name",
                                              "code_version",
                                              "supported_codecs",
                                              "encoders",
                                              "max_concurrent_encode_sessions",
                                              "ffmpeg_version",
                                              "driver_version",
                                              "cuda_version",
                                              "vaapi_device"};

const char *worker_status_name(enum worker_status status)
{
    must((size_t)status < COUNT_OF(worker_status_names));
    return worker_status_names[status];
}

static bool is_capability(const char *key)
{
    for (size_t i = 0; i < COUNT_OF(capability_keys); i++)
        if (strcmp(capability_keys[i], key) == 0)
            return true;
    return false;
}

bool message_capabilities_check(const struct json *capabilities, struct error *err)
{
    if (!json_is_object(capabilities)) {
        error_set(err, ERROR_PERMANENT, 0, "capabilities: expected an object");
        return false;
    }
    /* All keys are known and unique, so it cannot be long. */
    for (int i = 0; i < json_count(capabilities); i++) {
        if (!is_capability(json_key_at(capabilities, i))) {
            error_set(err, ERROR_PERMANENT, 0, "capabilities: %.64s is not a capability",
                      json_key_at(capabilities, i));
            return false;
        }
    }
    return true;
}

static bool read_jobs(const struct json *metadata, struct message_heartbeat *heartbeat,
                      struct error *err)
{
    const struct json *list;
    if (!field_list(metadata, "jobs", HELD_JOBS_MAX, &list, err))
        return false;
    heartbeat->jobs_known = list != NULL;
    for (const struct json *at = json_first(list); at; at = json_next(at)) {
        int64_t *id = &heartbeat->jobs[heartbeat->job_count];
        if (json_int(at, 1, ID_MAX, id) != JSON_FOUND) {
            error_set(err, ERROR_PERMANENT, 0, "jobs: expected job IDs");
            return false;
        }
        heartbeat->job_count++;
    }
    return true;
}

static bool read_capabilities(const struct json *metadata, struct message_heartbeat *heartbeat,
                              struct error *err)
{
    const struct json *capabilities = json_get(metadata, "capabilities");
    if (!capabilities)
        return true;
    if (!message_capabilities_check(capabilities, err))
        return false;
    heartbeat->capabilities = json_print(capabilities);
    return true;
}

static bool read_metadata(const struct json *root, struct message_heartbeat *heartbeat,
                          struct error *err)
{
    const struct json *metadata = json_get(root, "metadata");
    unsigned deployment_type;
    if (!metadata)
        return true;
    if (!json_is_object(metadata) || json_count(metadata) > METADATA_MAX_KEYS) {
        error_set(err, ERROR_PERMANENT, 0, "metadata: expected an object of at most %d members",
                  METADATA_MAX_KEYS);
        return false;
    }
    heartbeat->metadata = json_print(metadata);
    if (strlen(heartbeat->metadata) > METADATA_MAX_BYTES) {
        error_set(err, ERROR_PERMANENT, 0, "metadata: expected at most %d bytes",
                  METADATA_MAX_BYTES);
        return false;
    }
    return field_enum(metadata, "deployment_type", deployment_types, COUNT_OF(deployment_types),
                      &deployment_type, err) &&
           read_capabilities(metadata, heartbeat, err) && read_jobs(metadata, heartbeat, err);
}

static bool read_heartbeat(const struct json *root, struct message_heartbeat *heartbeat,
                           struct error *err)
{
    unsigned status = WORKER_ACTIVE;
    if (!field_enum(root, "status", worker_status_names, COUNT_OF(worker_status_names), &status,
                    err))
        return false;
    heartbeat->status = (enum worker_status)status;
    return field_text(root, "code_version", heartbeat->code_version, sizeof heartbeat->code_version,
                      err) &&
           read_metadata(root, heartbeat, err);
}

enum tailslate_problem message_heartbeat_parse(const char *body, size_t size,
                                               struct message_heartbeat *heartbeat,
                                               struct error *err)
{
    *heartbeat = (struct message_heartbeat){.status = WORKER_ACTIVE};
    JSON(root) = NULL;
    enum tailslate_problem problem = message_open(body, size, &root, err);
    if (problem != TAILSLATE_PROBLEM_NONE)
        return problem;
    if (read_heartbeat(root, heartbeat, err))
        return TAILSLATE_PROBLEM_NONE;
    message_heartbeat_fini(heartbeat);
    return TAILSLATE_PROBLEM_INVALID_FIELD;
}

/* Our own text, so parsing succeeds. */
static struct json *parse_own(const char *text)
{
    struct error err;
    struct json *node = json_parse(text, strlen(text), &err);
    must(json_is_object(node));
    return node;
}

char *message_heartbeat_format(const struct message_heartbeat *heartbeat)
{
    struct json *metadata = heartbeat->metadata ? parse_own(heartbeat->metadata)
                                                : json_new_object();
    if (heartbeat->capabilities)
        json_set(metadata, "capabilities", parse_own(heartbeat->capabilities));
    if (heartbeat->jobs_known) {
        struct json *jobs = json_new_array();
        must(heartbeat->job_count <= HELD_JOBS_MAX);
        for (size_t i = 0; i < heartbeat->job_count; i++)
            json_append_int(jobs, heartbeat->jobs[i]);
        json_set(metadata, "jobs", jobs);
    }
    struct json *root = json_new_object();
    json_set_text(root, "status", worker_status_name(heartbeat->status));
    put_text(root, "code_version", heartbeat->code_version);
    json_set(root, "metadata", metadata);
    return message_close(root);
}

bool message_heartbeat_fits(const int64_t *jobs, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += 2; /* a digit and a comma */
        for (int64_t rest = jobs[i] / 10; rest > 0; rest /= 10)
            bytes++;
    }
    return count <= HELD_JOBS_MAX && bytes <= HELD_JOBS_BYTES_MAX;
}

void message_heartbeat_fini(struct message_heartbeat *heartbeat)
{
    free(heartbeat->metadata);
    free(heartbeat->capabilities);
    heartbeat->metadata = NULL;
    heartbeat->capabilities = NULL;
}
