#include "verifier/base/config_reload.h"

#include "base/config_value.h"

#include <stdio.h>
#include <string.h>

/* Whole groups end with a dot. */
static const char *const live[] = {
    "listen.tls_cert_file",
    "listen.tls_key_file",
    "listen.client_ca_file",
    "listen.connections_per_address",
    "listen.trusted_proxy",
    "auth.",
    "page.",
    "claims.",
    "workers.",
    "sweeper.interval_seconds",
    "sweeper.grace_seconds",
    "sweeper.cleanup_minutes",
    "sweeper.trash_hours",
    "webhook.",
    "log.",
};
enum { LIVE_COUNT = sizeof live / sizeof live[0], NAME_BYTES = 96 };

static bool is_live(const char *name)
{
    for (size_t i = 0; i < LIVE_COUNT; i++) {
        size_t size = strlen(live[i]);
        if (live[i][size - 1] == '.' ? strncmp(name, live[i], size) == 0
                                     : strcmp(name, live[i]) == 0)
            return true;
    }
    return false;
}

/* The socket speaks either HTTP or HTTPS for as long as it is open. */
static bool turns_tls(const struct verifier_config *current, const struct verifier_config *fresh)
{
    return !current->listen.tls_cert_file[0] != !fresh->listen.tls_cert_file[0];
}

static bool is_of_tls(const char *name)
{
    return strncmp(name, "listen.tls_", 11) == 0 || strcmp(name, "listen.client_ca_file") == 0;
}

static void note(char list[CONFIG_CHANGES_BYTES], const char *name)
{
    size_t used = strlen(list);
    snprintf(list + used, CONFIG_CHANGES_BYTES - used, "%s%s", used ? ", " : "", name);
}

void verifier_config_take(struct verifier_config *current, const struct verifier_config *fresh,
                          struct config_changes *changes)
{
    bool keeps_tls = turns_tls(current, fresh);
    *changes = (struct config_changes){{0}, {0}};
    for (size_t i = 0; i < verifier_config_key_count; i++) {
        const struct config_key *key = &verifier_config_keys[i];
        char name[NAME_BYTES];
        if (config_value_is_same(key, current, fresh))
            continue;
        snprintf(name, sizeof name, "%s.%s", key->group, key->name);
        bool takes = is_live(name) && !(keeps_tls && is_of_tls(name));
        note(takes ? changes->taken : changes->waiting, name);
        if (takes)
            config_value_copy(key, fresh, current);
    }
}
