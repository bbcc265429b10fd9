/* reload: on SIGHUP the running server reads its configuration, certificates and secrets
 * again.
 *
 * All or nothing: after any error what was in force stays in force, and one line of the log says
 * what is wrong. No connection is closed and no claim is touched. Keys that need a restart keep
 * their value and are named in one line of the log. */
#ifndef VERIFIER_RELOAD_H
#define VERIFIER_RELOAD_H

#include "verifier/base/config.h"
#include "verifier/http/request.h"
#include "verifier/http/server.h"
#include "verifier/sweeper/sweeper.h"
#include "verifier/webhook/webhook.h"

struct reload {
    const char *config_path;        /* as named by the operator; NULL: none */
    struct verifier_config *config; /* in force */
    struct server *server;
    struct app *app;
    struct sweeper *sweeper; /* NULL: none */
    struct webhook *webhook;
};

void reload_now(const struct reload *reload);

/* "": admin calls are off. */
int reload_read_secret(const struct verifier_config *config, char secret[CONFIG_SECRET_BYTES],
                       struct error *err);
enum page_access reload_page_access(const struct verifier_config *config);
struct server_settings reload_server_settings(const struct verifier_config *config);

#endif
