#include "agent/api/http_stream.h"
#include "base/clock.h"
#include "base/url.h"
#include "lib/cleanup.h"
#include "lib/uuid.h"

#include "tailslate/backoff.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum {
    WAIT_SLICE_MS = 1000, /* libcurl's own timers fire late: never wait longer than this at once */
    CONNECTIONS_KEPT = 8, /* the courier's, the long poll's, the heartbeat's */
    CONNECTION_IDLE_S = 20, /* then it is not used again, and closed with the next request */
    TRANSFER_BUFFER_BYTES = 32 * 1024,
    CONTENT_TYPE_BYTES = 128,
};

struct http_client {
    CURLM *multi;
    char *url; /* without a trailing slash */
    char *key_header;
    char *ca_file, *cert_file, *key_file; /* NULL = unset */
    struct http_call *calls;
};

struct http_call {
    struct http_client *client;
    struct http_call *next;
    CURL *easy;
    struct curl_slist *headers;
    curl_mime *mime;
    char reason[CURL_ERROR_SIZE];
    http_done *done;
    void *ctx;

    int64_t deadline_ms, limit_ms; /* monotonic; the limit that it was derived from */
    int64_t stall_ms;              /* 0 = none */
    struct http_stream stream;
    char request_id[TAILSLATE_UUID_BYTES];
    int64_t claim_epoch;
};

int http_global_init(struct error *err)
{
    CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
    return code == CURLE_OK ? 0
                            : error_set(err, ERROR_PERMANENT, 0, "cannot initialize libcurl: %s",
                                        curl_easy_strerror(code));
}

static char *copy_if_set(const char *text)
{
    return text && text[0] ? must_strdup(text) : NULL;
}

static char *format_key(const char *api_key)
{
    return must_printf("X-Worker-API-Key: %s", api_key);
}

static void free_key(char *header)
{
    explicit_bzero(header, strlen(header));
    free(header);
}

struct http_client *http_client_new(const struct http_settings *settings, struct error *err)
{
    if (!url_is_http(settings->url)) {
        error_set(err, ERROR_PERMANENT, 0, "\"%s\" is not an http:// or https:// URL",
                  settings->url);
        return NULL;
    }
    /* The URL is shown in logs and status, so user and password are not allowed and not repeated
     * here. */
    if (url_has_user(settings->url)) {
        error_set(err, ERROR_PERMANENT, 0,
                  "the URL contains a user name or password; remove it, the server only needs the "
                  "API key");
        return NULL;
    }
    struct http_client *client = must_calloc(1, sizeof *client);
    client->multi = curl_multi_init();
    must(client->multi);
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
    client->url = must_strdup(settings->url);
    for (size_t end = strlen(client->url); end > 0 && client->url[end - 1] == '/'; end--)
        client->url[end - 1] = '\0';
    client->key_header = format_key(settings->api_key);
    client->ca_file = copy_if_set(settings->ca_file);
    client->cert_file = copy_if_set(settings->cert_file);
    client->key_file = copy_if_set(settings->key_file);
    return client;
}

bool http_client_set_key(struct http_client *client, const char *api_key)
{
    char *former = client->key_header;
    client->key_header = format_key(api_key);
    bool is_new = strcmp(former, client->key_header) != 0;
    free_key(former);
    return is_new;
}

static void call_free(struct http_call *call)
{
    struct http_call **link = &call->client->calls;
    while (*link && *link != call)
        link = &(*link)->next;
    if (*link)
        *link = call->next;
    curl_multi_remove_handle(call->client->multi, call->easy);
    curl_easy_cleanup(call->easy);
    curl_slist_free_all(call->headers);
    curl_mime_free(call->mime);
    http_stream_fini(&call->stream);
    free(call);
}

void http_cancel(struct http_call *call)
{
    call_free(call);
}

void http_client_free(struct http_client *client)
{
    if (!client)
        return;
    while (client->calls)
        call_free(client->calls);
    curl_multi_cleanup(client->multi);
    free_key(client->key_header);
    free(client->url);
    free(client->ca_file);
    free(client->cert_file);
    free(client->key_file);
    free(client);
}

static size_t on_header(char *line, size_t one, size_t size, void *ctx)
{
    struct http_call *call = ctx;
    return http_stream_receive_header(&call->stream, line, one * size) ? one * size : 0;
}

static size_t on_data(char *data, size_t one, size_t size, void *ctx)
{
    struct http_call *call = ctx;
    long status = 0;
    curl_off_t total = -1;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(call->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &total);
    return http_stream_receive(&call->stream, data, one * size, status, total) ? one * size : 0;
}

static size_t on_body(char *buffer, size_t one, size_t capacity, void *ctx)
{
    struct http_call *call = ctx;
    ssize_t given = http_stream_read_body(&call->stream, buffer, one * capacity);
    return given < 0 ? CURL_READFUNC_ABORT : (size_t)given;
}

/* libcurl rewinds when it sends a request again on a new connection. */
static int on_seek(void *ctx, curl_off_t offset, int origin)
{
    struct http_call *call = ctx;
    return origin == SEEK_SET && http_stream_rewind(&call->stream, offset) ? CURL_SEEKFUNC_OK
                                                                           : CURL_SEEKFUNC_FAIL;
}

static void add_header(struct http_call *call, const char *line)
{
    struct curl_slist *longer = curl_slist_append(call->headers, line);
    must(longer);
    call->headers = longer;
}

static void set_headers(struct http_call *call, const struct http_request *request)
{
    add_header(call, call->client->key_header);
    add_header(call,
               "Expect:"); /* otherwise a large body waits a second for a 100 that never comes */
    if (request->body)
        add_header(call, "Content-Type: application/json");
    else if (request->body_fd >= 0 && !request->multipart_name)
        add_header(call, "Content-Type: application/octet-stream");
    uuid_make_v4(call->request_id);
    TEXT(request_id) = must_printf("X-Request-ID: %s", call->request_id);
    add_header(call, request_id);
    if (request->claim_epoch >= 0) {
        TEXT(epoch) = must_printf("X-Claim-Epoch: %lld", (long long)request->claim_epoch);
        add_header(call, epoch);
    }
    for (int i = 0; i < HTTP_HEADERS_MAX && request->headers[i]; i++)
        add_header(call, request->headers[i]);
    curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
}

static void set_multipart(struct http_call *call, const char *file_name)
{
    call->mime = curl_mime_init(call->easy);
    must(call->mime);
    curl_mimepart *part = curl_mime_addpart(call->mime);
    must(part && curl_mime_name(part, "file") == CURLE_OK &&
         curl_mime_filename(part, file_name) == CURLE_OK &&
         curl_mime_type(part, "application/octet-stream") == CURLE_OK &&
         curl_mime_data_cb(part, call->stream.body_size, on_body, on_seek, NULL, call) == CURLE_OK);
    curl_easy_setopt(call->easy, CURLOPT_MIMEPOST, call->mime);
}

static void set_body(struct http_call *call, const struct http_request *request)
{
    if (request->body_fd >= 0 && request->multipart_name) {
        set_multipart(call, request->multipart_name);
        return;
    }
    if (request->body_fd >= 0) {
        curl_easy_setopt(call->easy, CURLOPT_POST, 1L);
        curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE,
                         (curl_off_t)call->stream.body_size);
        curl_easy_setopt(call->easy, CURLOPT_READFUNCTION, on_body);
        curl_easy_setopt(call->easy, CURLOPT_READDATA, call);
        curl_easy_setopt(call->easy, CURLOPT_SEEKFUNCTION, on_seek);
        curl_easy_setopt(call->easy, CURLOPT_SEEKDATA, call);
        return;
    }
    curl_off_t size = request->body ? (curl_off_t)request->body_size : 0;
    curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE, size);
    CURLcode copied = curl_easy_setopt(call->easy, CURLOPT_COPYPOSTFIELDS,
                                       request->body ? request->body : "");
    must(copied == CURLE_OK);
}

static void set_tls(CURL *easy, const struct http_client *client)
{
    if (client->ca_file)
        curl_easy_setopt(easy, CURLOPT_CAINFO, client->ca_file);
    if (client->cert_file)
        curl_easy_setopt(easy, CURLOPT_SSLCERT, client->cert_file);
    if (client->key_file)
        curl_easy_setopt(easy, CURLOPT_SSLKEY, client->key_file);
}

/* libcurl's sockets are not close-on-exec: a step would keep a dead agent's connections open, and
 * the server would continue to answer its long poll. */
static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)ctx;
    (void)purpose;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static void set_transfer(struct http_call *call, const char *path)
{
    CURL *easy = call->easy;
    TEXT(url) = must_printf("%s%s", call->client->url, path);
    must(curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK);
    /* The key is sent only to the configured server. */
    must(curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK);
    must(curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTP_CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)CONNECTION_IDLE_S);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)TRANSFER_BUFFER_BYTES);
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)TRANSFER_BUFFER_BYTES);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "tailslate-agent/" TAILSLATE_VERSION);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->reason);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    set_tls(easy, call->client);
}

struct http_call *http_start(struct http_client *client, const struct http_request *request,
                             http_done *done, void *ctx)
{
    struct http_call *call = must_calloc(1, sizeof *call);
    call->client = client;
    call->done = done;
    call->ctx = ctx;
    call->limit_ms = request->deadline_ms ? request->deadline_ms : HTTP_CALL_MS;
    call->deadline_ms = mono_ms() + call->limit_ms;
    call->stall_ms = request->stall_ms;
    call->claim_epoch = request->claim_epoch;
    http_stream_init(&call->stream, request);
    call->easy = curl_easy_init();
    must(call->easy);
    set_transfer(call, request->path);
    curl_easy_setopt(call->easy, CURLOPT_FORBID_REUSE, request->closes_connection ? 1L : 0L);
    set_headers(call, request);
    if (strcmp(request->method, "GET") != 0)
        set_body(call, request);
    must(curl_multi_add_handle(client->multi, call->easy) == CURLM_OK);
    call->next = client->calls;
    client->calls = call;
    return call;
}

static void copy_header(CURL *easy, const char *name, char *out, size_t capacity)
{
    struct curl_header *header;
    if (curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK &&
        strlen(header->value) < capacity)
        memcpy(out, header->value, strlen(header->value) + 1);
}

static int64_t retry_after_of(CURL *easy)
{
    struct curl_header *header;
    curl_off_t seconds = 0;
    if (curl_easy_header(easy, "Retry-After", 0, CURLH_HEADER, -1, &header) != CURLHE_OK ||
        curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &seconds) != CURLE_OK || seconds < 0)
        return -1;
    return seconds > TAILSLATE_RETRY_AFTER_MAX_MS / 1000 ? TAILSLATE_RETRY_AFTER_MAX_MS
                                                         : seconds * 1000;
}

static int64_t date_of(CURL *easy)
{
    struct curl_header *header;
    if (curl_easy_header(easy, "Date", 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return -1;
    time_t seconds = curl_getdate(header->value, NULL);
    return seconds > 0 ? (int64_t)seconds * 1000000 : -1;
}

static void read_answer(struct http_call *call, struct http_answer *answer)
{
    char type[CONTENT_TYPE_BYTES] = "";
    answer->reach = TAILSLATE_REACH_ANSWERED;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &answer->status);
    copy_header(call->easy, "Content-Type", type, sizeof type);
    copy_header(call->easy, "ETag", answer->etag, sizeof answer->etag);
    copy_header(call->easy, "X-Request-ID", answer->request_id, sizeof answer->request_id);
    answer->retry_after_ms = retry_after_of(call->easy);
    answer->date_us = date_of(call->easy);
    http_answer_read(answer, type);
}

static enum tailslate_reach reach_of(CURLcode code)
{
    bool is_untrusted = code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_ISSUER_ERROR ||
                        code == CURLE_SSL_CACERT_BADFILE || code == CURLE_SSL_INVALIDCERTSTATUS;
    return is_untrusted ? TAILSLATE_REACH_UNTRUSTED : TAILSLATE_REACH_UNREACHED;
}

/* As X509_verify_cert_error_string knows them. The handshake went well: not for this host. */
enum {
    NOT_SET = 1,
    NOT_YET_VALID = 9,
    EXPIRED = 10,
    SELF_SIGNED = 18,
    SELF_SIGNED_ROOT = 19,
    NO_ISSUER = 20
};

static enum http_trouble trouble_of_certificate(struct http_call *call)
{
    long result = NOT_SET;
    curl_easy_getinfo(call->easy, CURLINFO_SSL_VERIFYRESULT, &result);
    if (result == 0 || result == NOT_SET)
        return HTTP_CERTIFICATE_HOST;
    if (result == NOT_YET_VALID || result == EXPIRED)
        return HTTP_CERTIFICATE_OVER;
    return result == SELF_SIGNED || result == SELF_SIGNED_ROOT || result == NO_ISSUER
               ? HTTP_CERTIFICATE_AUTHORITY
               : HTTP_TROUBLE_OTHER;
}

static enum http_trouble trouble_of(struct http_call *call, CURLcode code)
{
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        return trouble_of_certificate(call);
    if (code == CURLE_GOT_NOTHING)
        return HTTP_NO_BYTE;
    return code == CURLE_SSL_CONNECT_ERROR ? HTTP_NO_TLS : HTTP_TROUBLE_OTHER;
}

static void read_failure(struct http_call *call, CURLcode code, struct http_answer *answer)
{
    answer->reach = reach_of(code);
    answer->trouble = trouble_of(call, code);
    if (call->stream.has_local_error) {
        answer->reach = TAILSLATE_REACH_LOCAL_FAILURE;
        answer->error = call->stream.error;
    } else if (call->stream.is_too_long) {
        error_set(&answer->error, ERROR_TEMPORARY, EFBIG, "the answer is longer than %d bytes",
                  HTTP_ANSWER_MAX_BYTES);
    } else if (code == CURLE_OK) {
        error_set(&answer->error, ERROR_TEMPORARY, 0, "the answer ends within its headers");
    } else {
        error_set(&answer->error, ERROR_TEMPORARY, 0, "%s",
                  call->reason[0] ? call->reason : curl_easy_strerror(code));
    }
}

/* Ends a request. Its callback runs after it is off the list, so that it can start another one. */
static void finish(struct http_call *call, CURLcode code)
{
    struct http_answer answer = {
        .retry_after_ms = -1, .date_us = -1, .claim_epoch = call->claim_epoch};
    http_stream_move_body(&call->stream, &answer);
    memcpy(answer.request_id, call->request_id, sizeof call->request_id);
    if (code == CURLE_OK && call->stream.has_complete_header)
        read_answer(call, &answer);
    else
        read_failure(call, code, &answer);
    http_done *done = call->done;
    void *ctx = call->ctx;
    call_free(call);
    done(ctx, &answer);
    http_answer_fini(&answer);
}

static void finish_answered(struct http_client *client)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(client->multi, &left))) {
        struct http_call *call = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
        must(call && message->msg == CURLMSG_DONE);
        finish(call, message->data.result);
    }
}

static int64_t expires_ms(const struct http_call *call)
{
    int64_t stall_at = call->stall_ms ? call->stream.last_byte_ms + call->stall_ms : INT64_MAX;
    return stall_at < call->deadline_ms ? stall_at : call->deadline_ms;
}

static struct http_call *find_expired(struct http_client *client)
{
    int64_t now = mono_ms();
    for (struct http_call *call = client->calls; call; call = call->next)
        if (expires_ms(call) <= now)
            return call;
    return NULL;
}

static void finish_expired(struct http_client *client)
{
    struct http_call *call;
    while ((call = find_expired(client))) {
        if (call->deadline_ms <= mono_ms())
            snprintf(call->reason, sizeof call->reason, "no answer within %lld ms",
                     (long long)call->limit_ms);
        else
            snprintf(call->reason, sizeof call->reason, "no data transferred for %lld ms",
                     (long long)call->stall_ms);
        finish(call, CURLE_OPERATION_TIMEDOUT);
    }
}

static int slice_ms(const struct http_client *client, int64_t timeout_ms)
{
    int64_t now = mono_ms(), slice = timeout_ms;
    if (client->calls && slice > WAIT_SLICE_MS)
        slice = WAIT_SLICE_MS;
    for (const struct http_call *call = client->calls; call; call = call->next)
        if (expires_ms(call) - now < slice)
            slice = expires_ms(call) - now;
    if (slice < 0)
        return 0;
    return slice > INT32_MAX ? INT32_MAX : (int)slice;
}

int http_wait(struct http_client *client, struct http_wait_fd *extra, unsigned count,
              int64_t timeout_ms)
{
    must(count <= HTTP_WAIT_FDS_MAX);
    struct curl_waitfd fds[HTTP_WAIT_FDS_MAX] = {0};
    for (unsigned i = 0; i < count; i++)
        fds[i] = (struct curl_waitfd){.fd = extra[i].fd, .events = extra[i].events};
    CURLMcode code = curl_multi_poll(client->multi, fds, count, slice_ms(client, timeout_ms), NULL);
    must(code == CURLM_OK);
    int ready = 0, running;
    for (unsigned i = 0; i < count; i++) {
        extra[i].revents = fds[i].revents;
        ready += fds[i].revents != 0;
    }
    must(curl_multi_perform(client->multi, &running) == CURLM_OK);
    finish_answered(client);
    finish_expired(client);
    return ready;
}
