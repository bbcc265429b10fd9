#include "verifier/cli/command_webhook.h"

#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/uuid.h"
#include "verifier/webhook/webhook.h"

#include <string.h>

enum { STATUS_REFUSED = 69 };
#define PING "ping"

static char *ping(const char *delivery)
{
    char now[WALL_TEXT_BYTES];
    JSON(root) = json_new_object();
    wall_format(wall_us(), now);
    json_set_text(root, "event", PING);
    json_set_text(root, "id", delivery);
    json_set_text(root, "occurred_at", now);
    return json_print(root);
}

static int print(const struct post_answer *answer, int64_t took_ms)
{
    struct error err;
    if (webhook_is_accepted(answer)) {
        printf("the receiver answered %ld after %lld ms\n", answer->status, (long long)took_ms);
        return STATUS_OK;
    }
    error_set(&err, ERROR_TEMPORARY, 0, "%s", answer->reason);
    int status = command_failed(&err);
    return answer->status == 0 ? status : STATUS_REFUSED;
}

static int send_ping(const struct verifier_config *config, struct post_answer *answer,
                     int64_t *took_ms, struct error *err)
{
    struct webhook_settings settings;
    char delivery[TAILSLATE_UUID_BYTES];
    if (!config->webhook.url[0])
        return error_set(err, ERROR_PERMANENT, 0, "webhook.url is not set");
    if (webhook_settings_read(config, &settings, err) != 0)
        return -1;
    uuid_make_v4(delivery);
    TEXT(body) = ping(delivery);
    int64_t started_ms = mono_ms();
    webhook_send(&settings, PING, delivery, body, NULL, answer);
    *took_ms = mono_ms() - started_ms;
    explicit_bzero(&settings, sizeof settings);
    return 0;
}

int command_webhook_test(const struct verifier_config *config, const struct command *command)
{
    struct post_answer answer;
    struct error err;
    int64_t took_ms = 0;
    (void)command;
    return send_ping(config, &answer, &took_ms, &err) == 0 ? print(&answer, took_ms)
                                                           : command_failed(&err);
}
