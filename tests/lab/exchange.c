#include "exchange.h"

#include "lib/cleanup.h"
#include "lib/error.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- what the call is ------------------------------------------------------------------------ */

static enum lab_call kind_of(const char *path, int64_t *job)
{
    static const struct {
        const char *form;
        enum lab_call call;
    } forms[] = {{"/complete", LAB_CALL_COMPLETE},
                 {"/fail", LAB_CALL_FAIL},
                 {"/progress", LAB_CALL_PROGRESS}};
    *job = 0;
    if (strncmp(path, "/api/worker/claim", 17) == 0)
        return LAB_CALL_CLAIM;
    if (strncmp(path, "/api/worker/heartbeat", 21) == 0)
        return LAB_CALL_HEARTBEAT;
    if (strncmp(path, "/api/worker/upload/", 19) == 0) {
        *job = strtoll(path + 19, NULL, 10);
        return LAB_CALL_UPLOAD;
    }
    if (strncmp(path, "/api/worker/", 12) != 0)
        return LAB_CALL_OTHER;
    *job = strtoll(path + 12, NULL, 10);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (strncmp(path + 12 + strspn(path + 12, "0123456789"), forms[i].form,
                    strlen(forms[i].form)) == 0)
            return forms[i].call;
    return LAB_CALL_OTHER;
}

void exchange_look(struct exchange *exchange)
{
    const char *path = strchr(exchange->request.data, ' ');
    exchange->call = kind_of(path ? path + 1 : "", &exchange->job);
    /* Only what writes: reading segments' status is no upload. */
    if (exchange->call == LAB_CALL_UPLOAD && strncmp(exchange->request.data, "POST", 4) != 0)
        exchange->call = LAB_CALL_OTHER;
}

static struct json *body_of(const struct wire_bytes *bytes)
{
    struct error ignored;
    const char *end = bytes->data ? strstr(bytes->data, "\r\n\r\n") : NULL;
    size_t size = end ? bytes->size - (size_t)(end + 4 - bytes->data) : 0;
    return size > 0 && size <= JSON_MAX_BYTES ? json_parse(end + 4, size, &ignored) : NULL;
}

int exchange_status(const struct wire_bytes *answer)
{
    return answer->size > 12 && strncmp(answer->data, "HTTP/1.1 ", 9) == 0
               ? (int)strtol(answer->data + 9, NULL, 10)
               : 0;
}

int64_t exchange_epoch(const struct wire_bytes *request)
{
    const char *header = strcasestr(request->data, "\r\nX-Claim-Epoch:");
    return header && header < request->data + request->head_size ? strtoll(header + 16, NULL, 10)
                                                                 : 0;
}

/* ---- what is written down -------------------------------------------------------------------- */

static void add_question(const struct exchange *exchange, struct json *line)
{
    const char *text = NULL;
    JSON(body) = exchange->call == LAB_CALL_UPLOAD ? NULL : body_of(&exchange->request);
    if (json_get_text(body, "completion_token", JSON_MAX_BYTES, &text) == JSON_FOUND)
        json_set_text(line, "token", text);
    const struct json *metadata = json_get(body, "metadata");
    if (metadata && json_get(metadata, "jobs"))
        json_set(line, "jobs", json_copy(json_get(metadata, "jobs")));
}

/* A claim that waited in vain is no news. */
static bool is_news(const struct exchange *exchange, const struct json *answer)
{
    return exchange->call != LAB_CALL_OTHER &&
           (exchange->call != LAB_CALL_CLAIM || !answer || json_get(answer, "job_id"));
}

struct json *exchange_line(const struct exchange *exchange)
{
    struct json *answer = body_of(&exchange->answer);
    if (!is_news(exchange, answer)) {
        json_free(answer);
        return NULL;
    }
    struct json *line = history_line("call");
    json_set_text(line, "what", lab_call_name(exchange->call));
    json_set_int(line, "node", exchange->node);
    json_set_id(line, "job", exchange->job);
    json_set_id(line, "epoch", exchange_epoch(&exchange->request));
    add_question(exchange, line);
    json_set_int(line, "status", exchange_status(&exchange->answer));
    json_set_int(line, "asked_us", exchange->asked_us);
    json_set_int(line, "answered_us", exchange->answered_us);
    json_set_text(line, "fault",
                  exchange->fault == LAB_FAULT_COUNT ? NULL : lab_fault_name(exchange->fault));
    json_set_bool(line, "passed", exchange->passed);
    if (exchange->is_forged)
        json_set_bool(line, "forged", true);
    json_set(line, "answer", answer);
    return line;
}
