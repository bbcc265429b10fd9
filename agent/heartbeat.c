#include "heartbeat.h"

#include "tailslate/backoff.h"
#include "tailslate/cleanup.h"
#include "tailslate/clock.h"
#include "tailslate/json.h"
#include "tailslate/log.h"
#include "tailslate/uuid.h"

#include <string.h>

enum { CAP_MS = 60 * 1000, HEARTBEAT_CALL_MS = 15 * 1000 };

/* `capabilities` may hold only the names that a stock server knows; what is ours goes beside. */
static char *format_capabilities(const char *ffmpeg_version)
{
    JSON(root) = json_new_object();
    json_set_text(root, "ffmpeg_version", ffmpeg_version);
    return json_print(root);
}

static char *format_metadata(const struct node *node)
{
    JSON(root) = json_new_object();
    json_set_text(root, "node", node->config->node.name);
    json_set_text(root, "agent_version", TAILSLATE_VERSION);
    json_set_int(root, "slots", node->config->node.slots);
    return json_print(root);
}

char *heartbeat_format(const struct node *node, const char *ffmpeg_version)
{
    struct message_heartbeat heartbeat = {
        .status = node->lives ? WORKER_BUSY : WORKER_IDLE,
        .metadata = format_metadata(node),
        .capabilities = ffmpeg_version[0] ? format_capabilities(ffmpeg_version) : NULL,
    };
    heartbeat.jobs_known = !node->has_unread &&
                           node_job_ids(node, heartbeat.jobs, HELD_JOBS_MAX, &heartbeat.job_count);
    char *body = message_heartbeat_format(&heartbeat);
    message_heartbeat_fini(&heartbeat);
    return body;
}

static void on_answer(void *ctx, const struct http_answer *answer)
{
    struct heartbeat *heartbeat = ctx;
    struct node *node = heartbeat->node;
    char reason[NODE_REASON_BYTES];
    heartbeat->call = NULL;
    enum server_state state = node_server_state_of(answer, reason, sizeof reason);
    node_server_is(node, state, reason);
    node->is_key_refused = node->is_key_refused || state == SERVER_KEY_REFUSED;
    int64_t interval_ms = (int64_t)(node->config->heartbeat.interval_seconds * 1000);
    if (state == SERVER_FINE) {
        heartbeat->failures = 0;
        heartbeat->due_ms = mono_ms() + interval_ms;
        return;
    }
    struct backoff_policy policy = {.base_ms = 1000, .cap_ms = CAP_MS};
    int64_t delay_ms = backoff_delay_ms(policy, heartbeat->failures++, answer->retry_after_ms,
                                        random_u64());
    heartbeat->due_ms = mono_ms() + delay_ms;
    log_debug("heartbeat.failed", LOG_TEXT("reason", reason), LOG_INT("delay_ms", delay_ms),
              LOG_INT("attempt", heartbeat->failures));
}

int64_t heartbeat_tick(struct heartbeat *heartbeat, int64_t now_ms)
{
    if (heartbeat->call)
        return NODE_NEVER;
    if (heartbeat->due_ms > now_ms)
        return heartbeat->due_ms;
    TEXT(body) = heartbeat_format(heartbeat->node, heartbeat->ffmpeg_version);
    node_renew_key(heartbeat->node);
    struct http_request request = HTTP_REQUEST_INIT;
    request.method = "POST";
    request.path = "/api/worker/heartbeat";
    request.body = body;
    request.body_size = strlen(body);
    request.deadline_ms = HEARTBEAT_CALL_MS;
    heartbeat->call = http_start(heartbeat->node->http, &request, on_answer, heartbeat);
    return NODE_NEVER;
}
