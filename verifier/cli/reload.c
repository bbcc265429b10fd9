#include "verifier/cli/reload.h"

#include "base/log.h"
#include "base/notify.h"
#include "lib/cleanup.h"
#include "verifier/base/config_reload.h"
#include "verifier/cli/command.h"
#include "verifier/http/auth.h"

#include <stdlib.h>
#include <string.h>

int reload_read_secret(const struct verifier_config *config, char secret[CONFIG_SECRET_BYTES],
                       struct error *err)
{
    const char *path = config->auth.admin_secret_file;
    secret[0] = '\0';
    if (path[0] && config_read_secret(path, secret, err) != 0)
        return error_wrap(err, "auth.admin_secret_file");
    return 0;
}

enum page_access reload_page_access(const struct verifier_config *config)
{
    const char *access = config->page.access;
    return strcmp(access, "read") == 0    ? PAGE_READ
           : strcmp(access, "login") == 0 ? PAGE_LOGIN
                                          : PAGE_OFF;
}

struct server_settings reload_server_settings(const struct verifier_config *config)
{
    return (struct server_settings){
        .address = config->listen.address,
        .port = config->listen.port,
        .tls = {config->listen.tls_cert_file, config->listen.tls_key_file,
                config->listen.client_ca_file},
        .connections = config->listen.connections,
        .address_connections = config->listen.connections_per_address,
        .trusted_proxy = config->listen.trusted_proxy,
    };
}

/* What is read besides the file is read before anything changes; the rest cannot fail. */
static int apply(const struct reload *reload, const struct verifier_config *config,
                 struct error *err)
{
    char secret[CONFIG_SECRET_BYTES];
    struct server_settings server = reload_server_settings(config);
    struct webhook_settings webhook;
    int result = reload_read_secret(config, secret, err);
    if (result == 0)
        result = webhook_settings_read(config, &webhook, err);
    if (result == 0)
        result = server_reconfigure(reload->server, &server, err);
    if (result == 0) {
        struct sweeper_settings intervals = sweeper_settings_of(config);
        struct store_settings times = context_store_settings(config);
        reload->app->page_access = reload_page_access(config);
        auth_set_admin_secret(reload->app->auth, secret[0] ? secret : NULL);
        store_reconfigure(reload->app->store, &times);
        sweeper_reconfigure(reload->sweeper, &intervals);
        webhook_reconfigure(reload->webhook, &webhook);
        must(log_configure(config->log.level, config->log.format));
    }
    explicit_bzero(secret, sizeof secret);
    explicit_bzero(&webhook, sizeof webhook);
    return result;
}

/* What is in force together with what waits for a restart may contradict itself: checked again. */
static int take_over(const struct reload *reload, struct verifier_config *fresh,
                     struct config_changes *changes, struct error *err)
{
    const char *path = config_find(reload->config_path, VERIFIER_CONFIG_PATH);
    if (verifier_config_load(path, fresh, err) != 0)
        return -1;
    struct verifier_config *next = must_malloc(sizeof *next);
    *next = *reload->config;
    verifier_config_take(next, fresh, changes);
    int result = verifier_config_check(next, path, err);
    if (result == 0)
        result = apply(reload, next, err);
    if (result == 0)
        *reload->config = *next;
    free(next);
    return result;
}

/* For `systemctl status`: `systemctl reload` itself succeeds as soon as the signal is sent. */
static void tell_refusal(const struct error *why)
{
    TEXT(text) = must_printf("not reloaded: %s", why->message);
    log_error("verifier.not_reloaded", LOG_TEXT("reason", why->message));
    notify_status(text);
}

void reload_now(const struct reload *reload)
{
    struct error err;
    struct config_changes changes;
    struct verifier_config *fresh = must_malloc(sizeof *fresh);
    notify_reloading();
    if (take_over(reload, fresh, &changes, &err) != 0) {
        tell_refusal(&err);
    } else {
        notify_status("the configuration was reloaded");
        log_info("verifier.reloaded", LOG_TEXT("changed", changes.taken));
        if (changes.waiting[0])
            log_warning("verifier.needs_restart", LOG_TEXT("keys", changes.waiting));
    }
    free(fresh);
    notify_ready();
}
