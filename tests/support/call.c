#include "call.h"

#include "base/clock.h"
#include "lib/cleanup.h"
#include "lib/error.h"

#include <criterion/criterion.h>
#include <curl/curl.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>

enum { BODY_MAX_BYTES = 64 << 20 };

struct buffer {
    char *data;
    size_t used;
};

static size_t take(char *data, size_t size, size_t count, void *ctx)
{
    struct buffer *buffer = ctx;
    size_t more = size * count;
    if (buffer->used + more > BODY_MAX_BYTES)
        return 0;
    buffer->data = must_realloc(buffer->data, buffer->used + more + 1);
    memcpy(buffer->data + buffer->used, data, more);
    buffer->used += more;
    buffer->data[buffer->used] = '\0';
    return more;
}

static void global_init(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void set_body(CURL *easy, const struct call *call, curl_mime **mime)
{
    if (call->part_file) {
        *mime = curl_mime_init(easy);
        curl_mimepart *part = curl_mime_addpart(*mime);
        curl_mime_name(part, "file");
        curl_mime_filedata(part, call->part_file);
        curl_easy_setopt(easy, CURLOPT_MIMEPOST, *mime);
    } else if (call->body) {
        size_t size = call->body_size ? call->body_size : strlen(call->body);
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
    }
    if (call->method)
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
    if (call->method && strcmp(call->method, "HEAD") == 0)
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
}

static struct curl_slist *header_list(const struct call *call)
{
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    for (int i = 0; i < CALL_HEADERS_MAX && call->headers[i]; i++)
        list = curl_slist_append(list, call->headers[i]);
    return list;
}

struct reply call_make(const struct call *call)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, global_init);
    struct buffer body = {must_strdup(""), 0}, headers = {must_strdup(""), 0};
    CURL *easy = curl_easy_init();
    curl_mime *mime = NULL;
    struct curl_slist *list = header_list(call);
    set_body(easy, call, &mime);
    curl_easy_setopt(easy, CURLOPT_URL, call->url);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, call->keeps_path ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
                     (long)(call->timeout_ms ? call->timeout_ms : CALL_TIMEOUT_MS));
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &body);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, &headers);

    struct reply reply = {0};
    int64_t started_ms = mono_ms();
    if (curl_easy_perform(easy) == CURLE_OK)
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &reply.status);
    reply.took_ms = mono_ms() - started_ms;
    reply.body = body.data;
    reply.size = body.used;
    reply.headers = headers.data;
    struct error err;
    reply.json = reply.size > 0 && reply.size <= JSON_MAX_BYTES
                     ? json_parse(reply.body, reply.size, &err)
                     : NULL;
    curl_slist_free_all(list);
    curl_mime_free(mime);
    curl_easy_cleanup(easy);
    return reply;
}

void reply_fini(struct reply *reply)
{
    free(reply->body);
    free(reply->headers);
    json_free(reply->json);
}

const char *reply_text(const struct reply *reply, const char *member)
{
    const char *text = "";
    if (reply->json)
        json_get_text(reply->json, member, JSON_MAX_BYTES, &text);
    return text;
}

int64_t reply_int(const struct reply *reply, const char *member)
{
    int64_t value = -1;
    if (reply->json)
        json_get_int(reply->json, member, INT64_MIN, INT64_MAX, &value);
    return value;
}

bool reply_bool(const struct reply *reply, const char *member)
{
    bool value = false;
    if (reply->json)
        json_get_bool(reply->json, member, &value);
    return value;
}

bool reply_has(const struct reply *reply, const char *member)
{
    return reply->json && json_get(reply->json, member);
}

void reply_header(const struct reply *reply, const char *name, char *value, size_t size)
{
    size_t name_size = strlen(name);
    snprintf(value, size, "%s", "");
    for (const char *at = reply->headers; at && *at; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (strncasecmp(at, name, name_size) != 0 || at[name_size] != ':')
            continue;
        at += name_size + 1;
        at += strspn(at, " ");
        snprintf(value, size, "%.*s", (int)strcspn(at, "\r\n"), at);
        return;
    }
}

void reply_is(const struct reply *reply, long status, const char *code)
{
    cr_assert(reply->status == status, "status %ld, wanted %ld: %.400s", reply->status, status,
              reply->body);
    if (code)
        cr_assert(strcmp(reply_text(reply, "code"), code) == 0, "wanted code %s: %.400s", code,
                  reply->body);
}
