#include "verifier/base/config_reload.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct verifier_config defaults(void)
{
    struct verifier_config config;
    struct error err;
    cr_assert_eq(verifier_config_load(NULL, &config, &err), 0, "%s", err.message);
    return config;
}

static void expect(const struct verifier_config *fresh, const char *taken, const char *waiting)
{
    struct config_changes changes;
    struct verifier_config current = defaults();
    verifier_config_take(&current, fresh, &changes);
    cr_expect_str_eq(changes.taken, taken);
    cr_expect_str_eq(changes.waiting, waiting);
}

Test(verifier_config_reload, without_a_change_nothing_is_named)
{
    struct verifier_config fresh = defaults();
    expect(&fresh, "", "");
}

Test(verifier_config_reload, what_may_change_is_taken_and_the_rest_waits_for_a_restart)
{
    struct config_changes changes;
    struct verifier_config current = defaults(), fresh = current;
    fresh.claims.duration_minutes = 7;
    fresh.listen.port = 1;
    fresh.sweeper.grace_seconds = 61;
    snprintf(fresh.sweeper.mode, sizeof fresh.sweeper.mode, "off");
    snprintf(fresh.store.url, sizeof fresh.store.url, "sqlite:/else");
    snprintf(fresh.auth.admin_secret_file, sizeof fresh.auth.admin_secret_file, "/s");
    snprintf(fresh.log.level, sizeof fresh.log.level, "debug");
    verifier_config_take(&current, &fresh, &changes);
    cr_expect_str_eq(changes.taken, "auth.admin_secret_file, claims.duration_minutes, "
                                    "sweeper.grace_seconds, log.level");
    cr_expect_str_eq(changes.waiting, "listen.port, store.url, sweeper.mode");
    cr_expect_eq(current.claims.duration_minutes, 7);
    cr_expect_eq(current.listen.port, 9002);
    cr_expect_str_eq(current.sweeper.mode, "auto");
    cr_expect_str_eq(current.auth.admin_secret_file, "/s");
}

Test(verifier_config_reload, tls_cannot_be_turned_on_or_off_but_its_files_change)
{
    static const char all[] = "listen.tls_cert_file, listen.tls_key_file, listen.client_ca_file";
    struct config_changes changes;
    struct verifier_config plain = defaults(), secure = plain, other;
    snprintf(secure.listen.tls_cert_file, sizeof secure.listen.tls_cert_file, "/c");
    snprintf(secure.listen.tls_key_file, sizeof secure.listen.tls_key_file, "/k");
    snprintf(secure.listen.client_ca_file, sizeof secure.listen.client_ca_file, "/a");
    expect(&secure, "", all);
    other = secure;
    snprintf(other.listen.tls_cert_file, sizeof other.listen.tls_cert_file, "/c2");
    snprintf(other.listen.client_ca_file, sizeof other.listen.client_ca_file, "%s", "");
    struct verifier_config current = secure;
    verifier_config_take(&current, &other, &changes);
    cr_expect_str_eq(changes.taken, "listen.tls_cert_file, listen.client_ca_file");
    cr_expect_str_eq(changes.waiting, "");
    verifier_config_take(&current, &plain, &changes);
    cr_expect_str_eq(changes.waiting, "listen.tls_cert_file, listen.tls_key_file");
    cr_expect_str_eq(current.listen.tls_cert_file, "/c2");
}
