#include "verifier/http/exchange.h"

#include "base/clock.h"
#include "base/log.h"
#include "lib/durable.h"
#include "lib/uuid.h"
#include "verifier/base/counters.h"
#include "verifier/base/number.h"
#include "verifier/http/auth.h"
#include "verifier/http/replays.h"
#include "verifier/http/request_metrics.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 4096 };

static void keep(struct body *body, const char *data, size_t size)
{
    size_t used = (size_t)body->taken_bytes;
    if (used + size + 1 > body->capacity) {
        while (used + size + 1 > body->capacity)
            body->capacity = body->capacity ? body->capacity * 2 : FIRST_CAPACITY;
        body->text = must_realloc(body->text, body->capacity);
    }
    memcpy(body->text + used, data, size);
    body->text[used + size] = '\0';
}

static bool stream(struct request *request, struct answer *answer, const char *data, size_t size)
{
    struct error err;
    if (durable_append(request->body_fd, data, size, &err) != 0) {
        answer_error(answer, request, &err);
        return false;
    }
    hash_update(request->body_hash, data, size);
    request->streamed_bytes += (int64_t)size;
    return true;
}

static bool body_take(struct body *body, struct request *request, struct answer *answer,
                      const char *data, size_t size)
{
    if ((int64_t)size > body->max_bytes - body->taken_bytes) {
        answer_problem(answer, TAILSLATE_PROBLEM_PAYLOAD_TOO_LARGE,
                       "The body is larger than this route allows.");
        return false;
    }
    switch (body->sink) {
    case BODY_TO_NOWHERE:
        break;
    case BODY_TO_MEMORY:
        keep(body, data, size);
        break;
    case BODY_TO_FILE:
        if (!stream(request, answer, data, size))
            return false;
        break;
    }
    body->taken_bytes += (int64_t)size;
    return true;
}

static bool body_drain(struct body *body, size_t size)
{
    body->drained_bytes += (int64_t)size;
    return body->drained_bytes <= DRAIN_MAX_BYTES;
}

static void body_fini(struct body *body)
{
    free(body->text);
}

void exchange_init(struct exchange *exchange, struct app *app, const char *uri)
{
    *exchange = (struct exchange){.is_unauthenticated = true};
    framing_init(&exchange->framing, uri);
    exchange->begun_ms = mono_ms();
    exchange->answer.fd = -1;
    request_init(&exchange->request, app);
}

void exchange_fini(struct exchange *exchange)
{
    request_fini(&exchange->request);
    body_fini(&exchange->body);
    answer_fini(&exchange->answer);
}

static bool check_framing(struct exchange *exchange)
{
    const char *problem = framing_check(&exchange->framing);
    if (problem)
        answer_problem(&exchange->answer, TAILSLATE_PROBLEM_BAD_JSON, problem);
    return !problem;
}

static void take_request_id(struct request *request)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "-_.:";
    const char *given = request_header(request, "X-Request-ID");
    size_t length = given ? strlen(given) : 0;
    if (length > 0 && length < sizeof request->id && strspn(given, allowed) == length)
        memcpy(request->id, given, length + 1);
    else
        uuid_make_v4(request->id);
}

static bool take_epoch(struct exchange *exchange)
{
    const char *given = request_header(&exchange->request, "X-Claim-Epoch");
    if (!given || number_parse(given, &exchange->request.claim_epoch))
        return true;
    answer_problem(&exchange->answer, TAILSLATE_PROBLEM_INVALID_FIELD,
                   "X-Claim-Epoch: must be an integer from 0");
    return false;
}

static bool trust_client(struct exchange *exchange)
{
    if (!exchange->client_problem)
        return true;
    struct request *request = &exchange->request;
    count(COUNT_CLIENTS_UNTRUSTED, 1);
    if (auth_may_log(request->app->auth, mono_ms()))
        log_warning("tls.client_refused", LOG_TEXT("request_id", request->id),
                    LOG_TEXT("client", request->client),
                    LOG_TEXT("reason", exchange->client_problem));
    answer_problem(&exchange->answer, TAILSLATE_PROBLEM_FORBIDDEN,
                   "A client certificate from an authority that this server trusts is required.");
    return false;
}

static bool authenticate(struct exchange *exchange)
{
    struct auth *auth = exchange->request.app->auth;
    switch (exchange->route->auth) {
    case AUTH_NONE:
        return true;
    case AUTH_WORKER:
        exchange->is_unauthenticated = !auth_worker(auth, &exchange->request, &exchange->answer);
        return !exchange->is_unauthenticated;
    case AUTH_ADMIN:
        exchange->is_unauthenticated = !auth_admin(auth, &exchange->request, &exchange->answer);
        return !exchange->is_unauthenticated;
    case AUTH_PAGE:
        if (!auth_page(auth, &exchange->request, &exchange->answer))
            return false;
        exchange->is_unauthenticated = !request_header(&exchange->request, "X-Admin-Secret");
        return true;
    }
    return false;
}

static void choose_sink(struct exchange *exchange)
{
    struct body *body = &exchange->body;
    body->max_bytes = exchange->route->body_max_bytes;
    switch (exchange->route->body) {
    case BODY_NONE:
        body->sink = BODY_TO_NOWHERE;
        break;
    case BODY_TEXT:
        body->sink = BODY_TO_MEMORY;
        break;
    case BODY_MULTIPART:
    case BODY_RAW:
        body->sink = BODY_TO_FILE;
        break;
    }
}

static void open_body(struct exchange *exchange)
{
    const struct route *route = exchange->route;
    if (exchange->framing.content_length > route->body_max_bytes) {
        answer_problem(&exchange->answer, TAILSLATE_PROBLEM_PAYLOAD_TOO_LARGE,
                       "The body is larger than this route allows.");
        return;
    }
    if (route->open)
        route->open(&exchange->request, &exchange->answer);
    if (!exchange->answer.status && exchange->body.sink == BODY_TO_FILE)
        exchange->request.body_hash = hash_new();
}

void exchange_begin(struct exchange *exchange, const char *method, const char *path)
{
    struct request *request = &exchange->request;
    request->method = method;
    request->path = path;
    take_request_id(request);
    if (!check_framing(exchange) || !trust_client(exchange))
        return;
    if (exchange->framing.path_is_hidden) {
        answer_problem(&exchange->answer, TAILSLATE_PROBLEM_INVALID_FIELD,
                       "The path contains an encoded character that is not allowed.");
        return;
    }
    exchange->route = route_find(request, &exchange->answer);
    if (exchange->route)
        choose_sink(exchange);
}

bool exchange_may_wait_for_body(const struct exchange *exchange)
{
    return exchange->body.sink != BODY_TO_FILE && exchange->framing.encodings == 0 &&
           exchange->framing.content_length <= EARLY_BODY_MAX_BYTES &&
           !request_header(&exchange->request, "Expect");
}

void exchange_admit(struct exchange *exchange)
{
    if (authenticate(exchange) && take_epoch(exchange))
        open_body(exchange);
}

/* True for a client that asked first (Expect), sends more than is drained, or whose framing is
 * ambiguous. Every other body is read first, so that the client sees the answer and not a reset. */
bool exchange_answers_at_once(const struct exchange *exchange)
{
    if (!exchange->answer.status)
        return false;
    return exchange->framing.is_bad || request_header(&exchange->request, "Expect") ||
           exchange->framing.content_length > DRAIN_MAX_BYTES;
}

bool exchange_wants_form(const struct exchange *exchange)
{
    return !exchange->answer.status && exchange->route->body == BODY_MULTIPART;
}

bool exchange_count_form(struct exchange *exchange, size_t size)
{
    /* Every field counts, not only `file`. */
    exchange->form_bytes += (int64_t)size;
    if (exchange->form_bytes <= exchange->body.max_bytes)
        return true;
    answer_problem(&exchange->answer, TAILSLATE_PROBLEM_PAYLOAD_TOO_LARGE,
                   "The body is larger than this route allows.");
    return false;
}

bool exchange_take_field(struct exchange *exchange, const char *key, const char *data,
                         uint64_t offset, size_t size)
{
    if (!key || strcmp(key, "file") != 0 || exchange->answer.status)
        return true;
    if (offset == 0 && exchange->body.taken_bytes > 0) {
        answer_problem(&exchange->answer, TAILSLATE_PROBLEM_INVALID_FIELD,
                       "The form has the field `file` twice.");
        return false;
    }
    return body_take(&exchange->body, &exchange->request, &exchange->answer, data, size);
}

bool exchange_writes(const struct exchange *exchange)
{
    return !exchange->answer.status && exchange->body.sink == BODY_TO_FILE;
}

bool exchange_take(struct exchange *exchange, const char *data, size_t size)
{
    if (exchange->answer.status)
        return body_drain(&exchange->body, size);
    body_take(&exchange->body, &exchange->request, &exchange->answer, data, size);
    return true;
}

void exchange_finish(struct exchange *exchange)
{
    struct request *request = &exchange->request;
    if (exchange->answer.status)
        return;
    request->body = exchange->body.text ? exchange->body.text : "";
    request->body_size = exchange->body.text ? (size_t)exchange->body.taken_bytes : 0;
    exchange->route->run(request, &exchange->answer);
    must(exchange->answer.status || request->wait.what);
}

static void log_refusal(const struct answer *answer, const struct request *request)
{
    /* Our own failures are logged where they occur. */
    if (answer->status < 400 || answer->status >= 500)
        return;
    /* An unauthenticated caller must not fill the disk through the log. */
    bool is_unauthenticated = request->worker.worker_id[0] == '\0' ||
                              answer->problem == TAILSLATE_PROBLEM_UNAUTHORIZED ||
                              answer->problem == TAILSLATE_PROBLEM_FORBIDDEN;
    if (is_unauthenticated && !auth_may_log(request->app->auth, mono_ms()))
        return;
    log_info("request.refused", LOG_TEXT("request_id", request->id),
             LOG_TEXT("method", request->method), LOG_TEXT("path", request->path),
             LOG_INT("status", answer->status),
             LOG_TEXT("code", tailslate_problem_code(answer->problem)),
             LOG_TEXT("worker", request->worker.worker_id), LOG_TEXT("client", request->client));
}

void exchange_note_answer(const struct exchange *exchange)
{
    log_refusal(&exchange->answer, &exchange->request);
    request_metrics_note(route_index(exchange->route), exchange->answer.status,
                         mono_ms() - exchange->begun_ms);
}

bool exchange_has_rest(const struct exchange *exchange)
{
    return exchange->request.scratch || exchange->answer.fd >= 0 ||
           replays_are_noted(exchange->request.app->replays);
}

void exchange_note_sent(const struct exchange *exchange)
{
    replays_write(exchange->request.app->replays);
}
