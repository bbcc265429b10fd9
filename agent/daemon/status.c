#include "agent/daemon/status.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/notify.h"
#include "lib/cleanup.h"
#include "lib/durable.h"

#include <stdio.h>
#include <string.h>

#define STATUS_NAME "status.json"

static void set_time(struct json *object, const char *key, int64_t time_us)
{
    char text[WALL_TEXT_BYTES];
    wall_format(time_us, text);
    json_set_text(object, key, text);
}

static struct json *format_server(const struct node *node, int64_t now_ms)
{
    struct json *server = json_new_object();
    json_set_text(server, "url", node->config->server.url);
    json_set_text(server, "state", server_state_name(node->server.state));
    json_set_text(server, "reason", node->server.reason);
    if (node->server.state != SERVER_UNKNOWN)
        set_time(server, "since", node->server.since_us);
    if (node->server.next_ms > now_ms)
        set_time(server, "next_attempt_at", wall_us() + (node->server.next_ms - now_ms) * 1000);
    return server;
}

static struct json *format_disk(const struct node *node)
{
    struct json *disk = json_new_object();
    json_set_int(disk, "free_bytes", node->admission.disk_free_bytes);
    json_set_bool(disk, "low", admission_has(node, ADMISSION_DISK_LOW));
    return disk;
}

static struct json *format_encoder(const struct heartbeat *heartbeat)
{
    const char *wanted = heartbeat->node->config->transcode.codec;
    struct json *encoder = json_new_object();
    json_set_text(encoder, "codec", tailslate_codec_name(encoder_wanted_codec(wanted)));
    if (heartbeat->encoder != ENCODER_COUNT) {
        json_set_text(encoder, "name", encoder_name(heartbeat->encoder));
        json_set_text(encoder, "kind", encoder_kind_name(encoder_kind(heartbeat->encoder)));
    }
    if (heartbeat->failed_encoder != ENCODER_COUNT) {
        json_set_text(encoder, "avoided", encoder_name(heartbeat->failed_encoder));
        json_set_text(encoder, "avoided_reason", heartbeat->encoder_failure);
    }
    return encoder;
}

static struct json *format_live(const struct live *live, int64_t now_ms)
{
    struct json *record = json_new_object();
    const struct live_delivery *delivery = &live->delivery;
    json_set_text(record, "record", live->id);
    json_set_text(record, "state", job_state_name(live->state));
    json_set_bool(record, "on_hold", live->is_on_hold);
    if (live->step.pidfd >= 0)
        json_set_int(record, "step_pid", live->step.pid);
    json_set_bool(record, "step_unseen",
                  live->step.is_unseen && job_need(live->state) == JOB_NEEDS_STEP);
    if (job_need(live->state) != JOB_NEEDS_COURIER)
        return record;
    json_set_int(record, "attempts", live->courier.attempts);
    json_set_text(record, "reason", delivery->reason);
    json_set_bool(record, "held", delivery->is_held);
    int64_t left_ms = delivery->due.at_ms > now_ms ? delivery->due.at_ms - now_ms : 0;
    set_time(record, "next_attempt_at", wall_us() + left_ms * 1000);
    struct record_waiting waiting;
    if (waiting_of_report(live, now_ms, &waiting))
        json_set(record, "waiting", record_format_waiting(&waiting));
    return record;
}

static struct json *format_claims(const struct node *node, int64_t now_ms)
{
    struct json *claims = json_new_object();
    TEXT(why) = admission_explain(node, now_ms);
    int64_t until_ms = admission_suspended_until_ms(node, now_ms);
    json_set_bool(claims, "asking", !why);
    json_set_text(claims, "obstacle", why);
    json_set_int(claims, "failures_in_a_row", node->admission.faults);
    if (until_ms)
        set_time(claims, "resting_until", wall_us() + (until_ms - now_ms) * 1000);
    return claims;
}

/* The last one first. */
static struct json *format_finals(const struct node *node)
{
    struct json *finals = json_new_array();
    unsigned known = node->roster.final_count < ROSTER_FINALS_MAX ? node->roster.final_count
                                                                  : ROSTER_FINALS_MAX;
    for (unsigned i = 1; i <= known; i++) {
        const struct roster_final *final =
            &node->roster.finals[(node->roster.final_count - i) % ROSTER_FINALS_MAX];
        struct json *one = json_new_object();
        json_set_int(one, "job", final->job_id);
        json_set_text(one, "outcome", final->outcome);
        json_set_text(one, "reason", final->reason);
        set_time(one, "at", final->at_us);
        json_append(finals, one);
    }
    return finals;
}

/* Printed one by one: as one tree, ten thousand of them take 15 MB. */
static void print_records(const struct node *node, int64_t now_ms, FILE *out)
{
    fputs("\"records\":[", out);
    for (const struct live *live = node->roster.first; live; live = live->next) {
        JSON(record) = format_live(live, now_ms);
        TEXT(text) = json_print(record);
        fprintf(out, "%s%s", text, live->next ? "," : "");
    }
    fputc(']', out);
}

/* The records follow the members of root, which has some. */
static char *print_with_records(const struct node *node, const struct json *root, int64_t now_ms)
{
    char *whole = NULL;
    size_t size;
    TEXT(text) = json_print(root);
    {
        STREAM(out) = open_memstream(&whole, &size);
        must(out);
        fprintf(out, "%.*s,", (int)strlen(text) - 1, text);
        print_records(node, now_ms, out);
        fputc('}', out);
    }
    must(whole);
    return whole;
}

static char *format_status(const struct status *status)
{
    const struct node *node = status->node;
    int64_t now_ms = mono_ms();
    JSON(root) = json_new_object();
    json_set_int(root, "pid", getpid());
    json_set_text(root, "version", TAILSLATE_VERSION);
    json_set_text(root, "node", node->config->node.name);
    set_time(root, "started_at", status->started_us);
    set_time(root, "updated_at", wall_us());
    json_set(root, "server", format_server(node, now_ms));
    json_set(root, "claims", format_claims(node, now_ms));
    struct record_waiting waiting;
    if (waiting_of_node(status->claim, now_ms, &waiting))
        json_set(root, "waiting", record_format_waiting(&waiting));
    json_set(root, "finals", format_finals(node));
    if (node->roster.failures)
        json_set(root, "failures", json_copy(node->roster.failures));
    json_set_int(root, "slots", node->config->node.slots);
    json_set_int(root, "slots_held", roster_slots_held(node));
    json_set_bool(root, "drained", admission_has(node, ADMISSION_DRAINED));
    json_set_bool(root, "paused", admission_has(node, ADMISSION_PAUSED));
    json_set_bool(root, "draining", admission_has(node, ADMISSION_DRAINING));
    json_set_bool(root, "stopping", admission_has(node, ADMISSION_STOPPING));
    json_set_bool(root, "tool_broken", admission_has(node, ADMISSION_TOOL_BROKEN));
    json_set(root, "disk", format_disk(node));
    if (status->heartbeat->encoders)
        json_set(root, "encoder", format_encoder(status->heartbeat));
    return print_with_records(node, root, now_ms);
}

void status_publish(struct status *status)
{
    struct error err;
    TEXT(text) = format_status(status);
    if (durable_write_volatile(status->node->spool.state_dir, STATUS_NAME, text, strlen(text),
                               &err) != 0)
        log_debug("status.not_published", LOG_TEXT("reason", err.message));
}

struct json *status_read(int state_dir)
{
    TEXT(text) = NULL;
    size_t size;
    struct error ignored;
    if (durable_read(state_dir, STATUS_NAME, JSON_LARGE_MAX_BYTES, &text, &size, &ignored) != 0)
        return NULL;
    return json_parse_large(text, size, &ignored);
}

static void notify_manager(const struct node *node)
{
    char line[NOTIFY_STATUS_BYTES];
    unsigned waiting = roster_count_state(node, JOB_SEALED) + roster_count_state(node, JOB_FAILED);
    snprintf(line, sizeof line, "%s%s%s%u of %d slots in use, %u to be delivered, server %s",
             admission_has(node, ADMISSION_STOPPING) ? "stopping: " : "",
             admission_has(node, ADMISSION_DRAINED) ? "drained: " : "",
             admission_has(node, ADMISSION_PAUSED) ? "paused: " : "", roster_slots_held(node),
             (int)node->config->node.slots, waiting, server_state_name(node->server.state));
    notify_status(line);
}

int64_t status_tick(struct status *status, int64_t now_ms)
{
    struct node *node = status->node;
    if (!node->is_status_due)
        return NODE_NEVER;
    if (status->due_ms > now_ms)
        return status->due_ms;
    (void)node_take_status_change(node);
    waiting_log(status->claim, now_ms);
    status_publish(status);
    notify_manager(node);
    int64_t pause_ms = (mono_ms() - now_ms) * STATUS_SHARE;
    status->due_ms = now_ms + (pause_ms > STATUS_MIN_MS ? pause_ms : STATUS_MIN_MS);
    return NODE_NEVER;
}
