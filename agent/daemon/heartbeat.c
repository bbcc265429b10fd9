#include "agent/daemon/heartbeat.h"

#include "agent/api/connect.h"
#include "base/clock.h"
#include "base/log.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/uuid.h"

#include "tailslate/backoff.h"

#include <stdio.h>
#include <string.h>

enum { HEARTBEAT_CALL_MS = 15 * 1000, VERSION_MAX_BYTES = 100 };

static bool works(const struct encoders *found, enum encoder_kind kind)
{
    return (found->working & encoder_set_of_kind(kind)) != 0;
}

/* By vendor, as stock servers know them. */
static const char *hardware_of(const struct encoders *found)
{
    if (works(found, ENCODER_NVENC))
        return "nvidia";
    if (!works(found, ENCODER_QSV) && !works(found, ENCODER_VAAPI))
        return "none";
    return strncmp(found->gpu, "AMD", 3) == 0 ? "amd" : "intel";
}

/* All encoders that work, hardware first; codecs without one are left out. */
static void add_codecs(const struct encoders *found, struct json *root)
{
    struct json *codecs = json_new_array(), *encoders = json_new_object();
    for (enum tailslate_codec codec = TAILSLATE_CODEC_H264; codec <= TAILSLATE_CODEC_AV1; codec++) {
        encoder_set left = found->working;
        enum encoder_id id = encoder_pick(codec, "auto", left);
        if (id == ENCODER_COUNT)
            continue;
        struct json *names = json_new_array();
        for (; id != ENCODER_COUNT; id = encoder_pick(codec, "auto", left)) {
            json_append_text(names, encoder_name(id));
            left &= ~(1u << id);
        }
        json_append_text(codecs, tailslate_codec_name(codec));
        json_set(encoders, tailslate_codec_name(codec), names);
    }
    json_set(root, "supported_codecs", codecs);
    json_set(root, "encoders", encoders);
}

static void add_hardware(const struct encoders *found, struct json *root)
{
    const char *hardware = hardware_of(found);
    bool has_any = strcmp(hardware, "none") != 0;
    json_set_bool(root, "hwaccel_enabled", has_any);
    json_set_text(root, "hwaccel_type", hardware);
    if (has_any && found->gpu[0])
        json_set_text(root, "gpu_name", found->gpu);
    if (works(found, ENCODER_NVENC) && found->driver[0])
        json_set_text(root, "driver_version", found->driver);
    if (works(found, ENCODER_VAAPI))
        json_set_text(root, "vaapi_device", found->device);
}

/* `capabilities` may only contain the names that a stock server knows; our own members go beside
 * it. */
static char *format_capabilities(const struct heartbeat *heartbeat)
{
    if (!heartbeat->ffmpeg_version[0])
        return NULL;
    JSON(root) = json_new_object();
    json_set_text(root, "ffmpeg_version", heartbeat->ffmpeg_version);
    if (heartbeat->encoders) {
        add_hardware(heartbeat->encoders, root);
        add_codecs(heartbeat->encoders, root);
    }
    return json_print(root);
}

static void add_encoder(const struct heartbeat *heartbeat, struct json *root)
{
    if (!heartbeat->encoders)
        return;
    if (heartbeat->encoder != ENCODER_COUNT)
        json_set_text(root, "encoder", encoder_name(heartbeat->encoder));
    if (heartbeat->failed_encoder == ENCODER_COUNT)
        return;
    json_set_text(root, "encoder_failed", encoder_name(heartbeat->failed_encoder));
    json_set_text(root, "encoder_failure", heartbeat->encoder_failure);
}

static char *format_metadata(const struct heartbeat *heartbeat)
{
    const struct node *node = heartbeat->node;
    JSON(root) = json_new_object();
    json_set_text(root, "node", node->config->node.name);
    json_set_text(root, "agent_version", TAILSLATE_VERSION);
    json_set_int(root, "slots", node->config->node.slots);
    json_set_int(root, "slots_used", roster_slots_held(node));
    if (node->admission.disk_free_bytes > 0) /* 0: not measured yet */
        json_set_int(root, "disk_free_bytes", node->admission.disk_free_bytes);
    TEXT(obstacle) = admission_explain(node, mono_ms());
    if (obstacle)
        json_set_text(root, "waiting_reason", obstacle);
    add_encoder(heartbeat, root);
    return json_print(root);
}

char *heartbeat_format(const struct heartbeat *heartbeat)
{
    const struct node *node = heartbeat->node;
    struct message_heartbeat message = {
        .status = node->roster.first || node->roster.is_incomplete ? WORKER_BUSY : WORKER_IDLE,
        .metadata = format_metadata(heartbeat),
        .capabilities = format_capabilities(heartbeat),
    };
    snprintf(message.code_version, sizeof message.code_version, "%.40s",
             node->config->heartbeat.code_version);
    message.jobs_known = !node->roster.is_incomplete &&
                         roster_job_ids(node, message.jobs, HELD_JOBS_MAX, &message.job_count) &&
                         message_heartbeat_fits(message.jobs, message.job_count);
    if (!message.jobs_known)
        message.job_count = 0;
    char *body = message_heartbeat_format(&message);
    message_heartbeat_fini(&message);
    return body;
}

void heartbeat_note_version(struct node *node, const char *body, size_t size)
{
    struct error ignored;
    JSON(root) = json_parse(body, size, &ignored);
    const char *required = NULL;
    bool is_ok = true;
    json_get_bool(root, "version_ok", &is_ok);
    json_get_text(root, "required_version", VERSION_MAX_BYTES, &required);
    if (!admission_set(node, ADMISSION_VERSION_REFUSED, !is_ok))
        return;
    if (is_ok)
        log_info("server.version_accepted");
    else
        log_warning(
            "server.version_refused",
            LOG_TEXT("code_version", node->config->heartbeat.code_version),
            LOG_TEXT("required_version", required ? required : "?"),
            LOG_TEXT("hint",
                     "nothing is claimed until the versions match; current jobs are finished"));
}

static void on_answer(void *ctx, const struct http_answer *answer)
{
    struct heartbeat *heartbeat = ctx;
    struct node *node = heartbeat->node;
    char reason[SERVER_REASON_BYTES];
    heartbeat->call = NULL;
    enum server_state state = server_state_of(answer, reason);
    server_link_note(node, answer);
    if (state == SERVER_KEY_REFUSED)
        server_link_note_key_refused(node);
    int64_t interval_ms = (int64_t)(node->config->heartbeat.interval_seconds * 1000);
    if (state == SERVER_FINE) {
        heartbeat_note_version(node, answer->body, answer->body_size);
        heartbeat->failures = 0;
        heartbeat->due_ms = mono_ms() + interval_ms;
        return;
    }
    struct tailslate_backoff policy = {.base_ms = 1000, .cap_ms = CONNECT_LIFE_CAP_MS};
    int64_t delay_ms = connect_life_delay_ms(policy, heartbeat->failures++, answer->retry_after_ms,
                                             random_u64());
    heartbeat->due_ms = mono_ms() + delay_ms;
    log_debug("heartbeat.failed", LOG_TEXT("reason", reason), LOG_INT("delay_ms", delay_ms),
              LOG_INT("attempt", heartbeat->failures));
}

/* After a failure only the backoff counts. */
static int64_t due_ms_of(const struct heartbeat *heartbeat, const char *reason)
{
    int64_t news_ms = heartbeat->sent_ms + HEARTBEAT_NEWS_MS;
    bool is_news = reason != heartbeat->told && heartbeat->failures == 0;
    return is_news && news_ms < heartbeat->due_ms ? news_ms : heartbeat->due_ms;
}

int64_t heartbeat_tick(struct heartbeat *heartbeat, int64_t now_ms)
{
    if (heartbeat->call)
        return NODE_NEVER;
    const char *reason = admission_block_reason(heartbeat->node, now_ms);
    int64_t due_ms = due_ms_of(heartbeat, reason);
    server_link_note_heartbeat(heartbeat->node, due_ms);
    if (due_ms > now_ms)
        return due_ms;
    heartbeat->told = reason;
    heartbeat->sent_ms = now_ms;
    TEXT(body) = heartbeat_format(heartbeat);
    server_link_renew_key(heartbeat->node);
    struct http_request request = http_post("/api/worker/heartbeat", body);
    request.deadline_ms = HEARTBEAT_CALL_MS;
    request.closes_connection = true; /* an idle agent keeps the one of its long poll */
    heartbeat->call = http_start(heartbeat->node->server.client, &request, on_answer, heartbeat);
    return NODE_NEVER;
}
