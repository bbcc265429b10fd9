#include "agent/api/connect.h"

#include <string.h>

static int read_key(const struct config *config, char secret[CONFIG_SECRET_BYTES],
                    struct error *err)
{
    if (config_read_secret(config->server.api_key_file, secret, err) != 0)
        return error_wrap(err, "server.api_key_file");
    return 0;
}

struct http_client *connect_client(const struct config *config, struct error *err)
{
    char secret[CONFIG_SECRET_BYTES];
    if (read_key(config, secret, err) != 0)
        return NULL;
    struct http_settings settings = {
        .url = config->server.url,
        .api_key = secret,
        .ca_file = config->server.ca_file,
        .cert_file = config->server.cert_file,
        .key_file = config->server.key_file,
    };
    struct http_client *client = http_client_new(&settings, err);
    explicit_bzero(secret, sizeof secret);
    return client;
}

int connect_renew_key(const struct config *config, struct http_client *client, struct error *err)
{
    char secret[CONFIG_SECRET_BYTES];
    if (read_key(config, secret, err) != 0)
        return -1;
    bool is_new = http_client_set_key(client, secret);
    explicit_bzero(secret, sizeof secret);
    return is_new;
}

struct tailslate_backoff connect_backoff(const struct config *config)
{
    return (struct tailslate_backoff){
        .base_ms = (int64_t)(config->retry.base_seconds * 1000),
        .cap_ms = (int64_t)(config->retry.cap_seconds * 1000),
    };
}

int64_t connect_life_delay_ms(struct tailslate_backoff policy, unsigned attempt,
                              int64_t retry_after_ms, uint64_t random)
{
    if (policy.cap_ms > CONNECT_LIFE_CAP_MS)
        policy.cap_ms = CONNECT_LIFE_CAP_MS;
    if (policy.base_ms > policy.cap_ms)
        policy.base_ms = policy.cap_ms;
    if (retry_after_ms > CONNECT_LIFE_CAP_MS)
        retry_after_ms = CONNECT_LIFE_CAP_MS;
    return tailslate_backoff_delay_ms(policy, attempt, retry_after_ms, random);
}
