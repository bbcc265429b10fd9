#include "verifier/http/request.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const headers[REQUEST_HEADERS] = {
    "X-Worker-API-Key", "X-Admin-Secret", "X-Claim-Epoch", "Idempotency-Key",
    "X-Content-SHA256", "X-Request-ID",   "X-Real-IP",     "Host",
    "Content-Type",     "Expect",         "Range",         "If-Range",
};
static const char *const arguments[REQUEST_ARGUMENTS] = {
    "job_id", "wait",  "quality", "version", "status", "worker",
    "since",  "limit", "before",  "after",   "files",
};

void request_init(struct request *request, struct app *app)
{
    *request = (struct request){.app = app, .body_fd = -1, .connection_fd = -1};
    request->claim_epoch = TAILSLATE_ABSENT_INT;
}

/* A value may be a secret. */
static void free_value(char *value)
{
    if (value)
        explicit_bzero(value, strlen(value));
    free(value);
}

void request_fini(struct request *request)
{
    if (request->free_scratch)
        request->free_scratch(request->scratch);
    hash_free(request->body_hash);
    for (size_t i = 0; i < REQUEST_HEADERS; i++)
        free_value(request->headers[i].value);
    for (size_t i = 0; i < REQUEST_ARGUMENTS; i++)
        free_value(request->arguments[i].value);
}

/* count: the name is not in the table. */
static size_t find(const char *const names[], size_t count, const char *name)
{
    size_t i = 0;
    while (i < count && strcasecmp(names[i], name) != 0)
        i++;
    return i;
}

/* False: it was given before, and the first value stays. */
static bool set(struct request_value *values, size_t index, size_t count, const char *text)
{
    if (index == count)
        return true;
    if (values[index].is_given)
        return false;
    values[index].is_given = true;
    values[index].value = text ? must_strdup(text) : NULL;
    return true;
}

bool request_set_header(struct request *request, const char *name, const char *value)
{
    return set(request->headers, find(headers, REQUEST_HEADERS, name), REQUEST_HEADERS, value);
}

void request_set_argument(struct request *request, const char *name, const char *value)
{
    set(request->arguments, find(arguments, REQUEST_ARGUMENTS, name), REQUEST_ARGUMENTS, value);
}

const char *request_header(const struct request *request, const char *name)
{
    size_t index = find(headers, REQUEST_HEADERS, name);
    must(index < REQUEST_HEADERS);
    return request->headers[index].value;
}

const char *request_query(const struct request *request, const char *name)
{
    size_t index = find(arguments, REQUEST_ARGUMENTS, name);
    must(index < REQUEST_ARGUMENTS);
    return request->arguments[index].value;
}

bool request_client_is_gone(const struct request *request)
{
    struct pollfd connection = {.fd = request->connection_fd, .events = POLLRDHUP};
    return poll(&connection, 1, 0) == 1 && (connection.revents & (POLLRDHUP | POLLHUP | POLLERR));
}
