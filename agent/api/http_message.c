#include "agent/api/http_message.h"

#include "agent/api/http.h"
#include "base/clock.h"
#include "lib/cleanup.h"

#include <string.h>

enum { PERFORM_CHECK_MS = 1000 };

static struct http_request begin(const char *method, const char *path)
{
    return (struct http_request){.method = method,
                                 .path = path,
                                 .claim_epoch = TAILSLATE_ABSENT_INT,
                                 .body_fd = -1,
                                 .sink_fd = -1};
}

struct http_request http_get(const char *path)
{
    return begin("GET", path);
}

struct http_request http_post(const char *path, const char *body)
{
    struct http_request request = begin("POST", path);
    request.body = body;
    request.body_size = body ? strlen(body) : 0;
    return request;
}

void http_answer_read(struct http_answer *answer, const char *content_type)
{
    answer->is_json = tailslate_answer_is_json(content_type);
    /* A proxy's page is not a verdict, even if it happens to contain our codes. */
    if (answer->is_json && answer->status / 100 != 2)
        message_problem_parse(answer->body, answer->body_size, &answer->problem);
}

struct tailslate_answer http_answer_facts(const struct http_answer *answer)
{
    return (struct tailslate_answer){
        .reach = answer->reach,
        .status = answer->status,
        .is_json = answer->is_json,
        .problem = answer->problem.problem,
    };
}

enum tailslate_answer_class http_answer_class(const struct http_answer *answer)
{
    struct tailslate_answer facts = http_answer_facts(answer);
    return tailslate_answer_classify(&facts);
}

int64_t http_lease_ms(const struct http_answer *answer, const char *expires_at)
{
    int64_t expires_us;
    if (!wall_parse(expires_at, &expires_us))
        return 0;
    int64_t now_us = answer->date_us >= 0 ? answer->date_us : wall_us();
    int64_t lease_ms = (expires_us - now_us) / 1000;
    return lease_ms > 0 && lease_ms <= HTTP_LEASE_MAX_MS ? lease_ms : 0;
}

void http_answer_fini(struct http_answer *answer)
{
    free(answer->body);
    answer->body = NULL;
}

struct performed {
    struct http_answer *answer;
    bool is_done;
};

static void on_performed(void *ctx, const struct http_answer *answer)
{
    struct performed *performed = ctx;
    *performed->answer = *answer;
    performed->answer->body = must_malloc(answer->body_size + 1);
    memcpy(performed->answer->body, answer->body, answer->body_size + 1);
    performed->is_done = true;
}

void http_perform(struct http_client *client, const struct http_request *request,
                  struct http_answer *answer)
{
    struct performed performed = {.answer = answer};
    http_start(client, request, on_performed, &performed);
    while (!performed.is_done)
        http_wait(client, NULL, 0, PERFORM_CHECK_MS);
}

char *http_escape(const char *component)
{
    static const char hex[] = "0123456789ABCDEF";
    char *escaped = must_malloc(3 * strlen(component) + 1), *at = escaped;
    for (; *component; component++) {
        unsigned char byte = (unsigned char)*component;
        bool is_plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                        (byte >= '0' && byte <= '9') || strchr("-._~", byte);
        if (is_plain) {
            *at++ = (char)byte;
        } else {
            *at++ = '%';
            *at++ = hex[byte >> 4];
            *at++ = hex[byte & 15];
        }
    }
    *at = '\0';
    return escaped;
}
