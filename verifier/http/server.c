#include "verifier/http/server.h"

#include "base/clock.h"
#include "base/log.h"
#include "lib/cleanup.h"
#include "verifier/http/auth.h"
#include "verifier/http/connections.h"
#include "verifier/http/live.h"
#include "verifier/http/work.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

enum {
    EVENT_THREADS = 4,
    THREAD_STACK_BYTES = 256 * 1024,
    FILE_BLOCK_BYTES = 64 * 1024,
    STALL_S = 120,          /* a connection without any byte for this long is closed */
    HEADERS_MS = 30 * 1000, /* from the accept, or the request line, to the end of the headers */
    UNAUTHENTICATED_MS = 30 * 1000, /* from there to the end of the answer */
    IDLE_MS = 75 * 1000,            /* between two requests */
    SHORT_IDLE_MS = 3 * 1000,       /* the same, while half of the connections are in use */
    ARGUMENTS_MAX = 64,             /* of a query; with more, STALL_S is … */
    ABSURD_S = 1,
    FORM_BUFFER_BYTES = 64 * 1024,
    STOP_STEP_MS = 20,
};

struct server {
    int listen_fd;
    int64_t port, max;
    struct tls tls;
    struct app *app;
    struct MHD_Daemon *daemon;
    struct connections *connections;
    struct live *live;
    struct hub hub;
    atomic_int in_flight;
    atomic_bool stopping;
};

/* A request and libmicrohttpd's handles for it. */
struct mhd_request {
    struct server *server;
    struct MHD_Connection *connection;
    struct MHD_PostProcessor *form;
    bool has_begun, is_in_body;
    char *client_problem; /* owned; NULL: none */
    struct work work;
};

/* A connection and its current request. If a request line has more arguments than fit into memory,
 * libmicrohttpd reports its beginning but never its end, so the connection has a pointer, too. */
struct mhd_connection {
    struct connection *connection;
    struct tls_credentials *credentials; /* a reference; NULL: no TLS */
    bool is_known;                       /* a request on it had a valid key */
    struct mhd_request *mhd_request;     /* NULL: no request */
};

static const union MHD_ConnectionInfo *info(struct MHD_Connection *connection,
                                            enum MHD_ConnectionInfoType type)
{
    return MHD_get_connection_info(connection, type);
}

static struct mhd_connection *mhd_connection_of(struct MHD_Connection *connection)
{
    return info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static void set_deadline(struct server *server, struct MHD_Connection *connection, int64_t in_ms)
{
    connection_set_deadline(server->connections, mhd_connection_of(connection)->connection,
                            mono_ms() + in_ms);
}

static void name_host(const struct sockaddr *socket, char name[REQUEST_CLIENT_BYTES])
{
    socklen_t size = socket->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                   : sizeof(struct sockaddr_in);
    if (getnameinfo(socket, size, name, REQUEST_CLIENT_BYTES, NULL, 0, NI_NUMERICHOST))
        memcpy(name, "?", sizeof "?");
}

static enum MHD_Result on_accept(void *ctx, const struct sockaddr *socket, socklen_t size)
{
    struct server *server = ctx;
    struct address address = address_of_socket(socket);
    char name[REQUEST_CLIENT_BYTES];
    (void)size;
    name_host(socket, name);
    /* The proxy's connections carry the requests of all its clients. */
    bool is_proxy = live_is_trusted_proxy(server->live, name);
    return connections_admit(server->connections, &address, is_proxy) ? MHD_YES : MHD_NO;
}

static struct mhd_request *request_of(struct work *work)
{
    return (struct mhd_request *)((char *)work - offsetof(struct mhd_request, work));
}

/* ---- hooks of the work ---- */

static void resume(struct work *work)
{
    MHD_resume_connection(request_of(work)->connection);
}

static void ended(struct work *work)
{
    struct mhd_request *mhd_request = request_of(work);
    atomic_int *in_flight = &mhd_request->server->in_flight;
    free(mhd_request->client_problem);
    free(mhd_request);
    atomic_fetch_sub(in_flight, 1); /* from now on the server may be freed */
}

/* Without a valid key the body is refused, so an upload's time limit does not apply. */
static void admitted(struct work *work)
{
    struct mhd_request *mhd_request = request_of(work);
    struct mhd_connection *mhd = mhd_connection_of(mhd_request->connection);
    if (work->exchange.is_unauthenticated)
        return;
    mhd->is_known = true;
    connection_is_known(mhd_request->server->connections, mhd->connection);
    set_deadline(mhd_request->server, mhd_request->connection, work->exchange.route->wall_ms);
}

static bool may_wait(struct work *work)
{
    return connections_occupancy(request_of(work)->server->connections) != OCCUPANCY_FULL;
}

static void parse(struct work *work, const char *data, size_t size)
{
    struct mhd_request *mhd_request = request_of(work);
    struct exchange *exchange = &work->exchange;
    if (!data && mhd_request->form) { /* it may have buffered the last bytes */
        MHD_destroy_post_processor(mhd_request->form);
        mhd_request->form = NULL;
    } else if (data && exchange_count_form(exchange, size) &&
               MHD_post_process(mhd_request->form, data, size) != MHD_YES &&
               !exchange->answer.status) {
        answer_problem(&exchange->answer, TAILSLATE_PROBLEM_INVALID_FIELD,
                       "The form cannot be read.");
    }
}

/* ---- the life of a request ---- */

static void end_request(struct mhd_connection *mhd)
{
    struct mhd_request *mhd_request = mhd->mhd_request;
    mhd->mhd_request = NULL;
    if (mhd_request)
        work_end(&mhd_request->work);
}

/* Where there is no memory for the arguments, libmicrohttpd 0.9.75 forgets that it has refused the
 * request, and waits for nothing. */
static void give_up_soon_if_absurd(struct MHD_Connection *connection, const char *uri)
{
    int arguments = 0;
    for (const char *at = uri; (at = strchr(at, '&')); at++)
        arguments++;
    if (arguments > ARGUMENTS_MAX)
        MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, ABSURD_S);
}

/* The request line was received: an exchange begins. */
static void *on_request_line(void *ctx, const char *uri, struct MHD_Connection *connection)
{
    struct server *server = ctx;
    struct mhd_connection *mhd = mhd_connection_of(connection);
    end_request(mhd);
    struct mhd_request *mhd_request = must_calloc(1, sizeof *mhd_request);
    mhd_request->server = server;
    mhd_request->connection = connection;
    work_init(&mhd_request->work, &server->hub, uri);
    atomic_fetch_add(&server->in_flight, 1);
    set_deadline(server, connection, HEADERS_MS);
    give_up_soon_if_absurd(connection, uri);
    mhd->mhd_request = mhd_request;
    return mhd_request;
}

static void on_completed(void *ctx, struct MHD_Connection *connection, void **request_ctx,
                         enum MHD_RequestTerminationCode code)
{
    (void)code;
    if (!*request_ctx)
        return;
    *request_ctx = NULL;
    end_request(mhd_connection_of(connection));
    struct server *server = ctx;
    bool is_low = connections_occupancy(server->connections) == OCCUPANCY_LOW;
    set_deadline(server, connection, is_low ? IDLE_MS : SHORT_IDLE_MS);
}

static struct mhd_connection *new_mhd_connection(struct server *server,
                                                 struct MHD_Connection *connection)
{
    struct mhd_connection *mhd = must_calloc(1, sizeof *mhd);
    struct address address = address_of_socket(
        info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr);
    mhd->connection = connections_add(
        server->connections, &address,
        info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd, mono_ms() + HEADERS_MS);
    if (server->tls.certificate)
        mhd->credentials = live_begin_session(
            server->live, info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION)->tls_session);
    return mhd;
}

static void on_connection(void *ctx, struct MHD_Connection *connection, void **connection_ctx,
                          enum MHD_ConnectionNotificationCode code)
{
    struct server *server = ctx;
    struct mhd_connection *mhd = *connection_ctx;
    switch (code) {
    case MHD_CONNECTION_NOTIFY_STARTED:
        *connection_ctx = new_mhd_connection(server, connection);
        break;
    case MHD_CONNECTION_NOTIFY_CLOSED:
        end_request(mhd);
        connections_remove(server->connections, mhd->connection);
        tls_credentials_release(mhd->credentials);
        free(mhd);
        break;
    }
}

/* After the headers. */
static void take_client(struct request *request, struct server *server,
                        struct MHD_Connection *connection)
{
    request->connection_fd = info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    name_host(info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr, request->client);
    const char *named = request_header(request, "X-Real-IP");
    if (named && live_is_trusted_proxy(server->live, request->client) && address_is_text(named))
        snprintf(request->client, sizeof request->client, "%s", named);
}

static enum MHD_Result on_header(void *ctx, enum MHD_ValueKind kind, const char *name,
                                 size_t name_size, const char *value, size_t value_size)
{
    (void)kind;
    struct exchange *exchange = ctx;
    framing_note_header(&exchange->framing, &exchange->request, name, name_size, value, value_size);
    return MHD_YES;
}

static enum MHD_Result on_argument(void *ctx, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    (void)kind;
    request_set_argument(ctx, name, value);
    return MHD_YES;
}

/* With client certificates the handshake requests one but accepts a client without, which then gets
 * its refusal over HTTP. Nothing of the request is used before this check. */
static void check_client(struct mhd_request *mhd_request)
{
    struct tls_credentials *credentials = mhd_connection_of(mhd_request->connection)->credentials;
    if (!credentials || !tls_credentials_ask_client(credentials))
        return;
    char why[128];
    const union MHD_ConnectionInfo *session = info(mhd_request->connection,
                                                   MHD_CONNECTION_INFO_GNUTLS_SESSION);
    if (tls_client_is_trusted(session->tls_session, why, sizeof why))
        return;
    mhd_request->client_problem = must_strdup(why);
    mhd_request->work.exchange.client_problem = mhd_request->client_problem;
}

static enum MHD_Result on_form_data(void *ctx, enum MHD_ValueKind kind, const char *key,
                                    const char *filename, const char *content_type,
                                    const char *encoding, const char *data, uint64_t offset,
                                    size_t size)
{
    (void)kind, (void)filename, (void)content_type, (void)encoding;
    return exchange_take_field(ctx, key, data, offset, size) ? MHD_YES : MHD_NO;
}

/* libmicrohttpd before 1.0 accepts a bare LF as the end of a line and a NUL as the end of a value
 * and reports neither. It parses in place, so the positions of the lines reveal both. Version 1.0
 * refuses both itself (MHD_OPTION_STRICT_FOR_CLIENT). */
static void note_head(struct mhd_request *mhd_request, const char *method, const char *version)
{
    const union MHD_ConnectionInfo *size = info(mhd_request->connection,
                                                MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (MHD_get_version()[0] == '0' && size)
        framing_note_head(&mhd_request->work.exchange.framing, method, size->header_size, version);
}

static void begin(struct mhd_request *mhd_request, const char *method, const char *path,
                  const char *version)
{
    struct work *work = &mhd_request->work;
    struct exchange *exchange = &work->exchange;
    note_head(mhd_request, method, version);
    MHD_get_connection_values_n(mhd_request->connection, MHD_HEADER_KIND, on_header, exchange);
    MHD_get_connection_values(mhd_request->connection, MHD_GET_ARGUMENT_KIND, on_argument,
                              &exchange->request);
    take_client(&exchange->request, mhd_request->server, mhd_request->connection);
    check_client(mhd_request);
    work->is_known = mhd_connection_of(mhd_request->connection)->is_known;
    exchange_begin(exchange, method, path);
    set_deadline(mhd_request->server, mhd_request->connection, UNAUTHENTICATED_MS);
}

static void open_form(struct mhd_request *mhd_request)
{
    struct work *work = &mhd_request->work;
    mhd_request->form = MHD_create_post_processor(mhd_request->connection, FORM_BUFFER_BYTES,
                                                  on_form_data, &work->exchange);
    work->is_form = mhd_request->form != NULL;
    if (!work->is_form)
        answer_problem(&work->exchange.answer, TAILSLATE_PROBLEM_INVALID_FIELD,
                       "The body must be multipart/form-data with the field `file`.");
}

/* A file is read by the pool, so that a share that hangs does not stop an event thread. */
static ssize_t on_read(void *ctx, uint64_t at, char *to, size_t max)
{
    struct mhd_request *mhd_request = ctx;
    ssize_t got = work_read(&mhd_request->work, (int64_t)at, to, max);
    if (got == 0) {
        MHD_suspend_connection(mhd_request->connection);
        work_fetch(&mhd_request->work, (int64_t)at);
    }
    return got < 0 ? MHD_CONTENT_READER_END_WITH_ERROR : got;
}

static struct MHD_Response *make_response(struct mhd_request *mhd_request)
{
    struct answer *answer = &mhd_request->work.exchange.answer;
    struct MHD_Response *response;
    if (answer->fd >= 0) {
        response = MHD_create_response_from_callback((uint64_t)answer->fd_length, FILE_BLOCK_BYTES,
                                                     on_read, mhd_request, NULL);
    } else {
        response = MHD_create_response_from_buffer(strlen(answer->body), answer->body,
                                                   MHD_RESPMEM_MUST_FREE);
        answer->body = NULL;
    }
    must(response);
    return response;
}

/* A client that closed its half while the connection was suspended is not always reported again
 * (epoll, libmicrohttpd 0.9.75): its connection would stay until IDLE_MS. */
static bool ends_connection(const struct mhd_request *mhd_request)
{
    const struct server *server = mhd_request->server;
    const struct exchange *exchange = &mhd_request->work.exchange;
    return exchange->framing.is_bad || atomic_load(&server->stopping) ||
           connections_occupancy(server->connections) == OCCUPANCY_FULL ||
           request_client_is_gone(&exchange->request);
}

static enum MHD_Result respond(struct mhd_request *mhd_request)
{
    struct exchange *exchange = &mhd_request->work.exchange;
    struct answer *answer = &exchange->answer;
    struct MHD_Response *response = make_response(mhd_request);
    MHD_add_response_header(response, "Content-Type", answer->content_type);
    MHD_add_response_header(response, "X-Request-ID", exchange->request.id);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    for (size_t i = 0; i < answer->header_count; i++)
        MHD_add_response_header(response, answer->headers[i].name, answer->headers[i].value);
    if (ends_connection(mhd_request))
        MHD_add_response_header(response, "Connection", "close");
    enum MHD_Result queued = MHD_queue_response(mhd_request->connection, (unsigned)answer->status,
                                                response);
    MHD_destroy_response(response);
    exchange_note_answer(exchange);
    return queued;
}

/* The connection is suspended first: the worker may be faster than this thread. */
static enum MHD_Result hand_over(struct mhd_request *mhd_request)
{
    MHD_suspend_connection(mhd_request->connection);
    work_hand_over(&mhd_request->work);
    return MHD_YES;
}

static enum MHD_Result take_data(struct mhd_request *mhd_request, const char *data, size_t *size)
{
    size_t taken = *size;
    enum work_taken result = work_take(&mhd_request->work, data, &taken);
    *size -= taken;
    switch (result) {
    case WORK_GOES_ON:
        return MHD_YES;
    case WORK_IS_FULL:
        return hand_over(mhd_request);
    case WORK_CUT:
        break;
    }
    return MHD_NO;
}

/* The headers are there. After a suspension it comes again. */
static enum MHD_Result start_body(struct mhd_request *mhd_request)
{
    struct exchange *exchange = &mhd_request->work.exchange;
    mhd_request->is_in_body = true;
    if (exchange_answers_at_once(exchange))
        return respond(mhd_request);
    if (exchange_wants_form(exchange))
        open_form(mhd_request);
    return MHD_YES;
}

static enum MHD_Result on_access(void *ctx, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *data,
                                 size_t *size, void **request_ctx)
{
    (void)ctx;
    struct mhd_request *mhd_request = *request_ctx;
    struct work *work = &mhd_request->work;
    /* A chunk behind the one that was handed over: it comes again. */
    if (info(connection, MHD_CONNECTION_INFO_CONNECTION_SUSPENDED)->suspended)
        return MHD_YES;
    if (!mhd_request->has_begun) {
        mhd_request->has_begun = true;
        begin(mhd_request, method, url, version);
        if (!work->exchange.answer.status && !exchange_may_wait_for_body(&work->exchange))
            return hand_over(mhd_request);
    }
    if (!mhd_request->is_in_body)
        return start_body(mhd_request);
    if (*size > 0)
        return take_data(mhd_request, data, size);
    if (work->exchange.answer.status || work->is_whole)
        return respond(mhd_request);
    work->is_whole = true;
    return hand_over(mhd_request);
}

/* libmicrohttpd itself refuses malformed request lines and chunks (400), lengths that overflow
 * (413), heads over REQUEST_HEAD_MAX_BYTES (414, 431) and other versions (505). Its answers are
 * HTML, which 0.9.75 cannot change: no problem+json and no X-Request-ID. It closes the connection
 * after each, and our agent treats no answer without our JSON as final. */
static void __attribute__((format(printf, 2, 0)))
on_library_log(void *ctx, const char *format, va_list args)
{
    (void)ctx;
    char line[512];
    vsnprintf(line, sizeof line, format, args);
    line[strcspn(line, "\n")] = '\0';
    log_debug("http.library", LOG_TEXT("message", line));
}

int server_reconfigure(struct server *server, const struct server_settings *settings,
                       struct error *err)
{
    struct tls tls;
    if (tls_read(&settings->tls, &tls, err) != 0)
        return -1;
    must(!tls.certificate == !server->tls.certificate);
    live_change(server->live, &tls, settings->trusted_proxy);
    connections_set_address_max(server->connections, settings->address_connections);
    tls_fini(&tls);
    return 0;
}

struct server *server_listen(const struct server_settings *settings, struct error *err)
{
    FD(fd) = connections_listen(settings->address, settings->port, err);
    if (fd < 0)
        return NULL;
    struct server *server = must_calloc(1, sizeof *server);
    server->listen_fd = -1;
    server->max = settings->connections;
    server->connections = connections_new(settings->connections, settings->address_connections);
    if (tls_read(&settings->tls, &server->tls, err) != 0) {
        server_free(server);
        return NULL;
    }
    server->live = live_new(&server->tls, settings->trusted_proxy);
    server->port = connections_port(fd);
    server->listen_fd = steal_fd(&fd);
    return server;
}

int64_t server_port(const struct server *server)
{
    return server->port;
}

/* Without TLS the list is empty. */
static void list_tls(const struct tls *tls, struct MHD_OptionItem options[5])
{
    size_t count = 0;
    if (tls->certificate) {
        options[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, tls->certificate};
        options[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, tls->key};
        options[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0,
                                                   (void *)TLS_PRIORITIES};
    }
    if (tls->client_ca)
        options[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_TRUST, 0, tls->client_ca};
    options[count] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
}

static bool stop_workers(struct server *server)
{
    int64_t until_ms = mono_ms() + SERVER_CUT_MS;
    return pool_stop(server->hub.pool, until_ms) && waiters_stop(server->hub.waiters, until_ms);
}

int server_start(struct server *server, struct app *app, struct error *err)
{
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC |
                     MHD_USE_ERROR_LOG;
    struct MHD_OptionItem tls[5];
    list_tls(&server->tls, tls);
    if (server->tls.certificate)
        flags |= MHD_USE_TLS;
    server->app = app;
    server->hub = (struct hub){.app = app,
                               .pool = pool_start(),
                               .resume = resume,
                               .ended = ended,
                               .admitted = admitted,
                               .may_wait = may_wait,
                               .parse = parse};
    server->hub.waiters = waiters_start(app, server->hub.pool, work_answered);
    server->daemon = MHD_start_daemon(
        flags, 0, on_accept, server, on_access, server, MHD_OPTION_EXTERNAL_LOGGER, on_library_log,
        NULL, MHD_OPTION_LISTEN_SOCKET, server->listen_fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)server->max, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_HEAD_MAX_BYTES,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)STALL_S, MHD_OPTION_THREAD_STACK_SIZE,
        (size_t)THREAD_STACK_BYTES, MHD_OPTION_THREAD_POOL_SIZE, EVENT_THREADS,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK, on_request_line, server,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, server, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
    if (server->daemon)
        return 0;
    must(stop_workers(server)); /* no request has used them yet */
    return error_set(err, ERROR_PERMANENT, 0,
                     "the HTTP server does not start; check the certificate and its key");
}

void server_tick(struct server *server)
{
    connections_cut(server->connections, mono_ms());
    auth_tick(server->app->auth);
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
    return stop_workers(server);
}

void server_free(struct server *server)
{
    if (server->listen_fd >= 0)
        close(server->listen_fd);
    connections_free(server->connections);
    live_free(server->live);
    tls_fini(&server->tls);
    free(server);
}
