#include "server.h"

#include "auth.h"
#include "body.h"
#include "connections.h"
#include "counters.h"
#include "routes.h"
#include "socket.h"

#include "tailslate/cleanup.h"
#include "tailslate/clock.h"
#include "tailslate/log.h"
#include "tailslate/uuid.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum {
    CONNECTIONS_MAX = 512,
    CONNECTION_MEMORY_BYTES = 32 * 1024, /* bounds the request line and the headers */
    THREAD_STACK_BYTES = 1024 * 1024,
    STALL_S = 120,          /* no byte at all for so long ends a connection */
    HEADERS_MS = 30 * 1000, /* from the accept, or the request line, to the end of the headers */
    IDLE_MS = 75 * 1000,    /* between two requests */
    FORM_BUFFER_BYTES = 64 * 1024,
    STOP_STEP_MS = 20,
};

struct server {
    int listen_fd;
    int64_t port;
    char *certificate, *key; /* PEM; NULL = no TLS */
    struct app *app;
    struct MHD_Daemon *daemon;
    struct connections *connections;
    atomic_int in_flight;
    atomic_bool stopping;
};

/* One request from its first line to the end of its answer. */
struct exchange {
    struct server *server;
    struct MHD_Connection *connection;
    struct MHD_PostProcessor *form;
    const struct route *route;
    struct request request;
    struct answer answer;
    struct body body;
    bool begun, path_is_hidden, framing_is_bad;
    int64_t content_length; /* -1: none given */
    int64_t form_bytes;
};

static const union MHD_ConnectionInfo *info(struct MHD_Connection *connection,
                                            enum MHD_ConnectionInfoType type)
{
    return MHD_get_connection_info(connection, type);
}

static void set_deadline(struct server *server, struct MHD_Connection *connection, int64_t in_ms)
{
    struct connection *slot = info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    connection_set_deadline(server->connections, slot, mono_ms() + in_ms);
}

const char *request_header(const struct request *request, const char *name)
{
    const struct exchange *exchange = request->transport;
    return MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name);
}

const char *request_query(const struct request *request, const char *name)
{
    const struct exchange *exchange = request->transport;
    return MHD_lookup_connection_value(exchange->connection, MHD_GET_ARGUMENT_KIND, name);
}

bool request_client_is_gone(const struct request *request)
{
    const struct exchange *exchange = request->transport;
    struct pollfd poll_fd = {
        .fd = info(exchange->connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd,
        .events = POLLRDHUP};
    return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

/* The request line is here: an exchange begins. */
static void *on_request_line(void *ctx, const char *uri, struct MHD_Connection *connection)
{
    struct server *server = ctx;
    struct exchange *exchange = must_calloc(1, sizeof *exchange);
    exchange->server = server;
    exchange->connection = connection;
    exchange->path_is_hidden = route_hides_something(uri);
    exchange->content_length = -1;
    exchange->answer.fd = -1;
    exchange->request.app = server->app;
    exchange->request.body_fd = -1;
    exchange->request.claim_epoch = ABSENT_INT;
    exchange->request.transport = exchange;
    atomic_fetch_add(&server->in_flight, 1);
    set_deadline(server, connection, HEADERS_MS);
    return exchange;
}

static void on_completed(void *ctx, struct MHD_Connection *connection, void **exchange_ctx,
                         enum MHD_RequestTerminationCode code)
{
    struct server *server = ctx;
    struct exchange *exchange = *exchange_ctx;
    (void)code;
    if (!exchange)
        return;
    *exchange_ctx = NULL;
    if (exchange->form)
        MHD_destroy_post_processor(exchange->form);
    if (exchange->request.free_scratch)
        exchange->request.free_scratch(exchange->request.scratch);
    hash_free(exchange->request.body_hash);
    body_fini(&exchange->body);
    answer_fini(&exchange->answer);
    free(exchange);
    set_deadline(server, connection, IDLE_MS);
    atomic_fetch_sub(&server->in_flight, 1);
}

static void on_connection(void *ctx, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct server *server = ctx;
    switch (code) {
    case MHD_CONNECTION_NOTIFY_STARTED:
        *socket_context = connections_add(
            server->connections, info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd,
            mono_ms() + HEADERS_MS);
        break;
    case MHD_CONNECTION_NOTIFY_CLOSED:
        connections_remove(server->connections, *socket_context);
        break;
    }
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

static void take_peer(struct request *request, struct MHD_Connection *connection)
{
    const struct sockaddr *address =
        info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
    socklen_t size = address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                    : sizeof(struct sockaddr_in);
    if (getnameinfo(address, size, request->peer, sizeof request->peer, NULL, 0, NI_NUMERICHOST))
        memcpy(request->peer, "?", sizeof "?");
}

struct framing {
    int lengths, encodings;
    const char *length, *encoding;
};

static enum MHD_Result count_framing(void *ctx, enum MHD_ValueKind kind, const char *key,
                                     const char *value)
{
    struct framing *framing = ctx;
    (void)kind;
    if (strcasecmp(key, "Content-Length") == 0) {
        framing->lengths++;
        framing->length = value;
    } else if (strcasecmp(key, "Transfer-Encoding") == 0) {
        framing->encodings++;
        framing->encoding = value;
    }
    return MHD_YES;
}

/* How long the body is must be said once, and in one way. */
static bool take_framing(struct exchange *exchange)
{
    struct framing framing = {0};
    MHD_get_connection_values(exchange->connection, MHD_HEADER_KIND, count_framing, &framing);
    exchange->framing_is_bad = framing.lengths + framing.encodings > 1 ||
                               (framing.encoding && strcasecmp(framing.encoding, "chunked") != 0) ||
                               (framing.length &&
                                !route_parse_number(framing.length, &exchange->content_length));
    if (exchange->framing_is_bad) {
        answer_problem(&exchange->answer, PROBLEM_BAD_JSON,
                       "The length of the body is given twice, or in no form that is taken.");
        return false;
    }
    return true;
}

static bool take_epoch(struct exchange *exchange)
{
    const char *given = request_header(&exchange->request, "X-Claim-Epoch");
    if (!given || route_parse_number(given, &exchange->request.claim_epoch))
        return true;
    answer_problem(&exchange->answer, PROBLEM_INVALID_FIELD, "X-Claim-Epoch: a number from 0");
    return false;
}

static bool authenticate(struct exchange *exchange)
{
    struct auth *auth = exchange->server->app->auth;
    switch (exchange->route->auth) {
    case AUTH_NONE:
        return true;
    case AUTH_WORKER:
        return auth_worker(auth, &exchange->request, &exchange->answer);
    case AUTH_ADMIN:
        return auth_admin(auth, &exchange->request, &exchange->answer);
    }
    return false;
}

static enum MHD_Result on_form_data(void *ctx, enum MHD_ValueKind kind, const char *key,
                                    const char *filename, const char *content_type,
                                    const char *encoding, const char *data, uint64_t offset,
                                    size_t size)
{
    struct exchange *exchange = ctx;
    (void)kind, (void)filename, (void)content_type, (void)encoding;
    if (!key || strcmp(key, "file") != 0 || exchange->answer.status)
        return MHD_YES;
    if (offset == 0 && exchange->body.taken_bytes > 0) {
        answer_problem(&exchange->answer, PROBLEM_INVALID_FIELD,
                       "The form has the field `file` twice.");
        return MHD_NO;
    }
    return body_take(&exchange->body, &exchange->request, &exchange->answer, data, size) ? MHD_YES
                                                                                         : MHD_NO;
}

static void open_body(struct exchange *exchange)
{
    const struct route *route = exchange->route;
    exchange->body.max_bytes = route->body_max_bytes;
    if (exchange->content_length > route->body_max_bytes) {
        answer_problem(&exchange->answer, PROBLEM_PAYLOAD_TOO_LARGE,
                       "The body is larger than this call may.");
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
        exchange->form = MHD_create_post_processor(exchange->connection, FORM_BUFFER_BYTES,
                                                   on_form_data, exchange);
        if (!exchange->form) {
            answer_problem(&exchange->answer, PROBLEM_INVALID_FIELD,
                           "The body must be multipart/form-data with the field `file`.");
            return;
        }
        break;
    case BODY_RAW:
        break;
    }
    exchange->body.sink = BODY_TO_FILE;
    exchange->request.body_hash = hash_new();
}

/* The headers are here: who is it, what is asked, and will the body be taken? */
static void begin(struct exchange *exchange, const char *method, const char *path)
{
    struct request *request = &exchange->request;
    request->method = method;
    request->path = path;
    take_request_id(request);
    take_peer(request, exchange->connection);
    if (!take_framing(exchange))
        return;
    if (exchange->path_is_hidden) {
        answer_problem(&exchange->answer, PROBLEM_INVALID_FIELD,
                       "The path holds an encoded character that no name may hold.");
        return;
    }
    exchange->route = route_find(request, &exchange->answer);
    if (!exchange->route)
        return;
    set_deadline(exchange->server, exchange->connection, exchange->route->wall_ms);
    if (authenticate(exchange) && take_epoch(exchange))
        open_body(exchange);
}

static struct MHD_Response *make_response(struct answer *answer)
{
    if (answer->fd >= 0) {
        struct MHD_Response *response = MHD_create_response_from_fd_at_offset64(
            (uint64_t)answer->fd_length, answer->fd, (uint64_t)answer->fd_offset);
        must(response);
        answer->fd = -1; /* the response closes it */
        return response;
    }
    struct MHD_Response *response = MHD_create_response_from_buffer(
        strlen(answer->body), answer->body, MHD_RESPMEM_MUST_FREE);
    must(response);
    answer->body = NULL;
    return response;
}

static enum MHD_Result respond(struct exchange *exchange)
{
    struct answer *answer = &exchange->answer;
    struct MHD_Response *response = make_response(answer);
    MHD_add_response_header(response, "Content-Type", answer->content_type);
    MHD_add_response_header(response, "X-Request-ID", exchange->request.id);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    for (size_t i = 0; i < answer->header_count; i++)
        MHD_add_response_header(response, answer->headers[i].name, answer->headers[i].value);
    if (atomic_load(&exchange->server->stopping))
        MHD_add_response_header(response, "Connection", "close");
    enum MHD_Result queued = MHD_queue_response(exchange->connection, (unsigned)answer->status,
                                                response);
    MHD_destroy_response(response);
    answer_log_refusal(answer, &exchange->request);
    count_status(answer->status);
    return queued;
}

/* Refused before its body came. A client that asked first (Expect), or has more than we would read
 * for nothing, or does not say clearly where its body ends, is told at once and the connection
 * ends; every other body is read first. */
static bool answers_at_once(const struct exchange *exchange)
{
    if (!exchange->answer.status)
        return false;
    return exchange->framing_is_bad || request_header(&exchange->request, "Expect") ||
           exchange->content_length > DRAIN_MAX_BYTES;
}

static enum MHD_Result take_data(struct exchange *exchange, const char *data, size_t *size)
{
    size_t got = *size;
    *size = 0;
    if (exchange->answer.status)
        return body_drain(&exchange->body, got) ? MHD_YES : MHD_NO;
    if (!exchange->form) {
        body_take(&exchange->body, &exchange->request, &exchange->answer, data, got);
        return MHD_YES;
    }
    /* Every field counts, not only the one that is wanted. */
    exchange->form_bytes += (int64_t)got;
    if (exchange->form_bytes > exchange->body.max_bytes)
        answer_problem(&exchange->answer, PROBLEM_PAYLOAD_TOO_LARGE,
                       "The body is larger than this call may.");
    else if (MHD_post_process(exchange->form, data, got) != MHD_YES && !exchange->answer.status)
        answer_problem(&exchange->answer, PROBLEM_INVALID_FIELD, "The form cannot be read.");
    return MHD_YES;
}

static void finish(struct exchange *exchange)
{
    struct request *request = &exchange->request;
    if (exchange->form) { /* it may hold back the last bytes */
        MHD_destroy_post_processor(exchange->form);
        exchange->form = NULL;
    }
    if (exchange->answer.status)
        return;
    request->body = exchange->body.text ? exchange->body.text : "";
    request->body_size = exchange->body.text ? (size_t)exchange->body.taken_bytes : 0;
    exchange->route->run(request, &exchange->answer);
    must(exchange->answer.status);
}

static enum MHD_Result on_access(void *ctx, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *data,
                                 size_t *size, void **exchange_ctx)
{
    (void)ctx, (void)connection, (void)version;
    struct exchange *exchange = *exchange_ctx;
    if (!exchange->begun) {
        exchange->begun = true;
        begin(exchange, method, url);
        return answers_at_once(exchange) ? respond(exchange) : MHD_YES;
    }
    if (*size > 0)
        return take_data(exchange, data, size);
    finish(exchange);
    return respond(exchange);
}

static void __attribute__((format(printf, 2, 0)))
on_library_log(void *ctx, const char *format, va_list args)
{
    (void)ctx;
    char line[512];
    vsnprintf(line, sizeof line, format, args);
    line[strcspn(line, "\n")] = '\0';
    log_debug("http.library", LOG_TEXT("message", line));
}

struct server *server_listen(const struct server_settings *settings, struct error *err)
{
    FD(fd) = socket_listen(settings->address, settings->port, err);
    if (fd < 0)
        return NULL;
    struct server *server = must_calloc(1, sizeof *server);
    server->listen_fd = -1;
    server->connections = connections_new();
    if (socket_read_pem(settings->tls_cert_file, &server->certificate, err) != 0 ||
        socket_read_pem(settings->tls_key_file, &server->key, err) != 0) {
        server_free(server);
        return NULL;
    }
    server->port = socket_port(fd);
    server->listen_fd = steal_fd(&fd);
    return server;
}

int64_t server_port(const struct server *server)
{
    return server->port;
}

int server_start(struct server *server, struct app *app, struct error *err)
{
    unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
                     MHD_USE_POLL | MHD_USE_ITC | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, server->certificate},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, server->key},
        {MHD_OPTION_END, 0, NULL},
    };
    if (server->certificate)
        flags |= MHD_USE_TLS;
    else
        tls[0] = tls[2];
    server->app = app;
    server->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_access, server, MHD_OPTION_EXTERNAL_LOGGER, on_library_log, NULL,
        MHD_OPTION_LISTEN_SOCKET, server->listen_fd, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)STALL_S, MHD_OPTION_THREAD_STACK_SIZE,
        (size_t)THREAD_STACK_BYTES, MHD_OPTION_URI_LOG_CALLBACK, on_request_line, server,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, server, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
    if (!server->daemon)
        return error_set(err, ERROR_PERMANENT, 0,
                         "the HTTP server does not start (certificate and key in order?)");
    return 0;
}

void server_tick(struct server *server)
{
    connections_cut(server->connections, mono_ms());
}

static bool is_quiet_within(const struct server *server, int64_t ms)
{
    int64_t until_ms = mono_ms() + ms;
    while (atomic_load(&server->in_flight) > 0 && mono_ms() < until_ms)
        poll(NULL, 0, STOP_STEP_MS);
    return atomic_load(&server->in_flight) == 0;
}

bool server_stop(struct server *server)
{
    atomic_store(&server->stopping, true);
    MHD_socket fd = MHD_quiesce_daemon(server->daemon);
    if (fd >= 0)
        close(fd);
    server->listen_fd = -1;
    is_quiet_within(server, SERVER_GRACE_MS);
    connections_cut(server->connections, INT64_MAX);
    if (!is_quiet_within(server, SERVER_CUT_MS))
        return false;
    MHD_stop_daemon(server->daemon);
    server->daemon = NULL;
    return true;
}

void server_free(struct server *server)
{
    if (server->listen_fd >= 0)
        close(server->listen_fd);
    connections_free(server->connections);
    free(server->certificate);
    free(server->key);
    free(server);
}
