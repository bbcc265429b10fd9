#include "agent/step/remote_rendition.h"

#include "lib/cleanup.h"
#include "lib/json.h"

#include <string.h>

enum { STATUS_BYTES_MAX_EXPONENT = 50 };

static bool is_segment(const char *name)
{
    size_t size = strlen(name);
    return strncmp(name, "seg_", 4) == 0 && size > 4 && strcmp(name + size - 4, ".m4s") == 0;
}

void remote_rendition_parse(const char *body, size_t size, struct remote_rendition *existing)
{
    struct error ignored;
    *existing = (struct remote_rendition){.is_known = false};
    JSON(root) = json_parse(body, size, &ignored);
    const struct json *names = json_get(root, "received_segments");
    if (!json_is_array(names))
        return;
    existing->is_known = true;
    for (const struct json *name = json_first(names); name; name = json_next(name)) {
        const char *text = json_text(name);
        existing->segments += text && is_segment(text);
        existing->is_cmaf = existing->is_cmaf || (text && strcmp(text, "init.mp4") == 0);
    }
    json_get_int(root, "total_size_bytes", 0, INT64_C(1) << STATUS_BYTES_MAX_EXPONENT,
                 &existing->bytes);
}

void remote_rendition_ask(struct session *session, enum tailslate_quality quality,
                          struct remote_rendition *existing)
{
    TEXT(path) = must_printf("/api/worker/upload/%lld/segments/status?quality=%s",
                             (long long)session->claim.claim.video_id,
                             tailslate_quality_name(quality));
    struct http_request request = http_get(path);
    struct reply reply;
    *existing = (struct remote_rendition){.is_known = false};
    session_perform(session, &request, &reply);
    if (session_judge(session, &reply.answer, EXPECT_JSON) == VERDICT_OK)
        remote_rendition_parse(reply.answer.body, reply.answer.body_size, existing);
    session_reply_fini(&reply);
}
