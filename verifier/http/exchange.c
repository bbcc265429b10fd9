#include "verifier/http/exchange.h"

#include "base/clock.h"
#include "base/log.h"
#include "lib/durable.h"
#include "lib/uuid.h"
#include "verifier/base/counters.h"
#include "verifier/http/auth.h"
#include "verifier/http/replays.h"
#include "verifier/http/request_metrics.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What the path's decoding would hide: a separator or an end that no name may hold. */
static bool hides_something(const char *uri)
{
    static const char *const hidden[] = {"%00", "%2f", "%5c", "%25"};
    size_t length = strcspn(uri, "?");
    for (size_t at = 0; at + 3 <= length; at++)
        for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++)
            if (strncasecmp(uri + at, hidden[i], 3) == 0)
                return true;
    return false;
}

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
    *exchange = (struct exchange){.content_length = -1, .is_unauthenticated = true};
    exchange->path_is_hidden = hides_something(uri);
    exchange->target_end = uri + strlen(uri);
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

static bool is_token(const char *name, size_t size)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < size; i++) {
        char c = name[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_letter && !(c >= '0' && c <= '9') && (c == '\0' || !strchr(marks, c)))
            return false;
    }
    return size > 0;
}

/* A CR that ends no line ends one for others; no other control character means anything here. */
static bool is_value(const char *value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (((unsigned char)value[i] < ' ' && value[i] != '\t') || value[i] == 0x7f)
            return false;
    return true;
}

/* libmicrohttpd 0.9.75 glues a folded line to the header's name ("Transfer-Encodingchunked"): what
 * would be framing to a proxy in front of us is not to us, so nothing may begin like framing. */
static bool begins_like_framing(const char *name)
{
    return strncasecmp(name, "Content-Length", strlen("Content-Length")) == 0 ||
           strncasecmp(name, "Transfer-Encoding", strlen("Transfer-Encoding")) == 0;
}

enum { LINE_END_BYTES = 2 };

void exchange_note_head(struct exchange *exchange, const char *start, size_t size,
                        const char *version)
{
    /* Between the target and the version is the one blank that was overwritten. */
    exchange->header_is_bad |= version != exchange->target_end + 1;
    exchange->line = version + strlen(version) + LINE_END_BYTES;
    exchange->head_end = start + size;
}

/* A NUL cut the line before, its end was no CRLF, or it is folded and was put together elsewhere.
 */
static bool begins_elsewhere(const struct exchange *exchange, const char *name)
{
    return exchange->line && exchange->line != name;
}

void exchange_note_header(struct exchange *exchange, const char *name, size_t name_size,
                          const char *value, size_t value_size)
{
    bool is_good = is_token(name, name_size) && value && is_value(value, value_size);
    if (begins_elsewhere(exchange, name) || !is_good) {
        exchange->header_is_bad = true;
    } else if (strcasecmp(name, "Content-Length") == 0) {
        exchange->lengths++;
        exchange->length = value;
    } else if (strcasecmp(name, "Transfer-Encoding") == 0) {
        exchange->encodings++;
        exchange->encoding = value;
    } else if (begins_like_framing(name)) {
        exchange->header_is_bad = true;
    } else if (!request_set_header(&exchange->request, name, value)) {
        /* Which of the two is meant? A proxy in front of us may read the other one. */
        exchange->twice = true;
    }
    if (exchange->line)
        exchange->line = value ? value + value_size + LINE_END_BYTES : name;
}

/* Behind the last header stands an empty line, and then the head is over. */
static bool ends_elsewhere(const struct exchange *exchange)
{
    return exchange->line && exchange->line + LINE_END_BYTES != exchange->head_end;
}

static const char *framing_trouble(const struct exchange *exchange)
{
    if (exchange->header_is_bad)
        return "A header contains a character that is not allowed.";
    return exchange->twice ? "A header that may appear only once was sent twice."
                           : "The body's length is given twice or in an unsupported form.";
}

/* How long the body is must be said once, and in one way. */
static bool take_framing(struct exchange *exchange)
{
    const char *length = exchange->length, *encoding = exchange->encoding;
    exchange->header_is_bad |= ends_elsewhere(exchange);
    exchange->framing_is_bad = exchange->header_is_bad || exchange->twice ||
                               exchange->lengths + exchange->encodings > 1 ||
                               (exchange->encodings && !encoding) ||
                               (encoding && strcasecmp(encoding, "chunked") != 0) ||
                               (exchange->lengths && !length) ||
                               (length && !request_parse_number(length, &exchange->content_length));
    if (!exchange->framing_is_bad)
        return true;
    answer_problem(&exchange->answer, TAILSLATE_PROBLEM_BAD_JSON, framing_trouble(exchange));
    return false;
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
    if (!given || request_parse_number(given, &exchange->request.claim_epoch))
        return true;
    answer_problem(&exchange->answer, TAILSLATE_PROBLEM_INVALID_FIELD,
                   "X-Claim-Epoch: must be an integer from 0");
    return false;
}

static bool trust_client(struct exchange *exchange)
{
    if (!exchange->client_trouble)
        return true;
    struct request *request = &exchange->request;
    count(COUNT_CLIENTS_UNTRUSTED, 1);
    if (auth_may_log(request->app->auth, mono_ms()))
        log_warning("tls.client_refused", LOG_TEXT("request_id", request->id),
                    LOG_TEXT("client", request->client),
                    LOG_TEXT("reason", exchange->client_trouble));
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
    }
    return false;
}

static void open_body(struct exchange *exchange)
{
    const struct route *route = exchange->route;
    exchange->body.max_bytes = route->body_max_bytes;
    if (exchange->content_length > route->body_max_bytes) {
        answer_problem(&exchange->answer, TAILSLATE_PROBLEM_PAYLOAD_TOO_LARGE,
                       "The body is larger than this route allows.");
        return;
    }
    if (route->open)
        route->open(&exchange->request, &exchange->answer);
    if (exchange->answer.status)
        return;
    switch (route->body) {
    case BODY_NONE:
        exchange->body.sink = BODY_TO_NOWHERE;
        return;
    case BODY_TEXT:
        exchange->body.sink = BODY_TO_MEMORY;
        return;
    case BODY_MULTIPART:
    case BODY_RAW:
        break;
    }
    exchange->body.sink = BODY_TO_FILE;
    exchange->request.body_hash = hash_new();
}

void exchange_begin(struct exchange *exchange, const char *method, const char *path)
{
    struct request *request = &exchange->request;
    request->method = method;
    request->path = path;
    take_request_id(request);
    if (!take_framing(exchange) || !trust_client(exchange))
        return;
    if (exchange->path_is_hidden) {
        answer_problem(&exchange->answer, TAILSLATE_PROBLEM_INVALID_FIELD,
                       "The path contains an encoded character that is not allowed.");
        return;
    }
    exchange->route = route_find(request, &exchange->answer);
    if (exchange->route && authenticate(exchange) && take_epoch(exchange))
        open_body(exchange);
}

/* A client that asked first (Expect), or has more than we would read for nothing, or does not say
 * clearly where its body ends; every other body is read first, so that the client is heard out
 * and sees the answer instead of a reset. */
bool exchange_answers_at_once(const struct exchange *exchange)
{
    if (!exchange->answer.status)
        return false;
    return exchange->framing_is_bad || request_header(&exchange->request, "Expect") ||
           exchange->content_length > DRAIN_MAX_BYTES;
}

bool exchange_wants_form(const struct exchange *exchange)
{
    return !exchange->answer.status && exchange->route->body == BODY_MULTIPART;
}

bool exchange_count_form(struct exchange *exchange, size_t size)
{
    /* Every field counts, not only the one that is wanted. */
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
    must(exchange->answer.status);
}

static void log_refusal(const struct answer *answer, const struct request *request)
{
    /* Failures of ours are logged where they are found. */
    if (answer->status < 400 || answer->status >= 500)
        return;
    /* A stranger must not be able to fill the disk by way of the log. */
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

void exchange_note_sent(const struct exchange *exchange)
{
    replays_write(exchange->request.app->replays);
}
