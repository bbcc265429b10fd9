#include "receiver.h"

#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "settings.h"

#include <criterion/criterion.h>
#include <string.h>

void receiver_set_url(struct rig *rig, const struct peer *peer)
{
    TEXT(url) = must_printf("http://127.0.0.1:%d/hook", peer_port(peer));
    settings_set_text(&rig->verifier_settings, "webhook.url", url);
}

struct peer *receiver_start(struct rig *rig, const char *script)
{
    struct peer *peer = peer_start();
    TEXT(secret) = rig_path(rig, "webhook.secret");
    file_write(secret, RECEIVER_SECRET "\n", 0600);
    peer_script(peer, RECEIVER_POST, script);
    receiver_set_url(rig, peer);
    settings_set_text(&rig->verifier_settings, "webhook.secret_file", secret);
    rig_verifier_set(rig, "webhook.timeout_seconds", "2");
    rig_verifier_set(rig, "webhook.retry_base_seconds", "0.1");
    rig_verifier_set(rig, "webhook.retry_cap_seconds", "0.2");
    return peer;
}

void receiver_header(const struct peer_request *request, const char *name, char *value, size_t size)
{
    TEXT(start) = must_printf("\r\n%s: ", name);
    const char *at = strstr(request->headers, start);
    cr_assert(at, "%s is not in %s", name, request->headers);
    at += strlen(start);
    snprintf(value, size, "%.*s", (int)strcspn(at, "\r"), at);
}

static void check_signature(const struct peer_request *request, const char *secret)
{
    char hex[HASH_HEX_BYTES], timestamp[32], signature[128];
    receiver_header(request, "X-Tailslate-Timestamp", timestamp, sizeof timestamp);
    receiver_header(request, "X-Tailslate-Signature", signature, sizeof signature);
    TEXT(text) = must_printf("%s.%s", timestamp, request->body);
    hash_hmac(secret, strlen(secret), text, strlen(text), hex);
    TEXT(wanted) = must_printf("sha256=%s", hex);
    cr_assert_str_eq(signature, wanted);
}

void receiver_check(struct peer *peer, int n, const char *secret, char delivery[RECEIVER_ID_BYTES])
{
    const struct peer_request *request = peer_request(peer, RECEIVER_POST, n);
    char event[64], type[64];
    struct error err;
    cr_assert(request, "event %d has not come", n);
    JSON(body) = json_parse(request->body, request->body_size, &err);
    cr_assert(body, "%s: %s", err.message, request->body);
    check_signature(request, secret);
    receiver_header(request, "Content-Type", type, sizeof type);
    receiver_header(request, "X-Tailslate-Event", event, sizeof event);
    receiver_header(request, "X-Tailslate-Delivery", delivery, RECEIVER_ID_BYTES);
    cr_assert_str_eq(type, "application/json");
    cr_assert_str_eq(json_text(json_get(body, "event")), event);
    cr_assert_str_eq(json_text(json_get(body, "id")), delivery);
}
