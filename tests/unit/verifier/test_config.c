#include "lib/cleanup.h"
#include "verifier/base/config.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Test(verifier_config, the_sample_in_the_repository_is_what_the_table_prints)
{
    TEXT(printed) = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&printed, &size);
    verifier_config_print_sample(out);
    fclose(out);

    TEXT(file) = calloc(1, 65536);
    STREAM(in) = fopen(TAILSLATE_SOURCE_DIR "/verifier.cfg.sample", "r");
    cr_assert(in);
    cr_assert(fread(file, 1, 65535, in) > 0);
    cr_assert_str_eq(file, printed,
                     "regenerate it with: tailslate-verifier check --sample > verifier.cfg.sample");
}

Test(verifier_config, the_sample_says_the_defaults)
{
    struct verifier_config sample, defaults;
    struct error err;
    cr_assert_eq(verifier_config_load(TAILSLATE_SOURCE_DIR "/verifier.cfg.sample", &sample, &err),
                 0, "%s", err.message);
    cr_assert_eq(verifier_config_load(NULL, &defaults, &err), 0, "%s", err.message);
    cr_assert_eq(sample.listen.port, defaults.listen.port);
    cr_assert_str_eq(sample.store.url, defaults.store.url);
    cr_assert_float_eq(sample.claims.duration_minutes, defaults.claims.duration_minutes, 1e-9);
}

Test(verifier_config, what_this_build_has_not_is_refused_by_name)
{
    static const char *const cases[][3] = {
        {"TAILSLATE_STORE_URL", "postgresql://u:secret@host/db", "store.password_file"},
        {"TAILSLATE_STORE_URL", "postgresql://host/db?password=secret", "store.password_file"},
        {"TAILSLATE_STORE_URL", "postgresql:u@host/db", "expected a URL like"},
        {"TAILSLATE_REDIS_URL", "redis://:secret@host", "redis.password_file"},
        {"TAILSLATE_LISTEN_CLIENT_CA_FILE", "/x", "needs listen.tls_cert_file"},
        {"TAILSLATE_STORE_URL", "mysql://x", "unsupported kind of database"},
        {"TAILSLATE_STORE_URL", "sqlite:", "path is missing"},
        {"TAILSLATE_LISTEN_TRUSTED_PROXY", "localhost", "not an IP address"},
        {"TAILSLATE_STORE_SCHEMA", "vlog", "must be like postgresql:"},
        {"TAILSLATE_LISTEN_TLS_CERT_FILE", "/x", "must be set together"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct verifier_config config;
        struct error err = {0};
        setenv(cases[i][0], cases[i][1], 1);
        cr_expect_eq(verifier_config_load(NULL, &config, &err), -1, "%s", cases[i][0]);
        cr_expect(strstr(err.message, cases[i][2]), "%s", err.message);
        cr_expect_not(strstr(err.message, "secret"), "%s", err.message);
        unsetenv(cases[i][0]);
    }
}

Test(verifier_config, a_webhook_needs_a_plain_url_and_a_secret)
{
    static const char *const cases[][3] = {
        {"TAILSLATE_WEBHOOK_URL", "http://host/hidden", "webhook.url needs a file"},
        {"TAILSLATE_WEBHOOK_URL", "ftp://host/hidden", "expected an http:// or https:// URL"},
        {"TAILSLATE_WEBHOOK_URL", "https://u:hidden@host", "a user name or password"},
        {"TAILSLATE_WEBHOOK_RETRY_CAP_SECONDS", "1", "less than webhook.retry_base_seconds"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct verifier_config config;
        struct error err = {0};
        setenv(cases[i][0], cases[i][1], 1);
        cr_expect_eq(verifier_config_load(NULL, &config, &err), -1, "case %zu", i);
        cr_expect(strstr(err.message, cases[i][2]), "%s", err.message);
        cr_expect_not(strstr(err.message, "hidden"), "%s", err.message);
        unsetenv(cases[i][0]);
    }
}

/* The times in seconds; a live worker keeps its job where one of them is as long as the grace. */
Test(verifier_config, times_under_which_a_live_workers_job_is_released_are_refused)
{
    static const struct {
        double claim_s, offline_s;
        const char *grace_s, *mode;
        bool is_taken;
    } cases[] = {{1800, 300, "120", "auto", true}, {3, 300, "120", "auto", true},
                 {1800, 3, "120", "auto", true},   {120, 3, "120", "auto", true},
                 {119, 119, "120", "auto", false}, {3, 3, "120", "auto", false},
                 {3, 3, "120", "on", false},       {3, 3, "120", "off", true},
                 {3, 3, "3", "auto", true},        {1800, 300, "3600", "auto", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct verifier_config config;
        struct error err = {0};
        char claim[32], offline[32];
        snprintf(claim, sizeof claim, "%f", cases[i].claim_s / 60);
        snprintf(offline, sizeof offline, "%f", cases[i].offline_s / 60);
        setenv("TAILSLATE_CLAIMS_DURATION_MINUTES", claim, 1);
        setenv("TAILSLATE_WORKERS_OFFLINE_MINUTES", offline, 1);
        setenv("TAILSLATE_SWEEPER_GRACE_SECONDS", cases[i].grace_s, 1);
        setenv("TAILSLATE_SWEEPER_MODE", cases[i].mode, 1);
        int result = verifier_config_load(NULL, &config, &err);
        cr_expect_eq(result == 0, cases[i].is_taken, "case %zu: %s", i, err.message);
        cr_expect(result == 0 ||
                      (strstr(err.message, "TAILSLATE_WORKERS_OFFLINE_MINUTES: ") == err.message &&
                       strstr(err.message, "sweeper.grace_seconds") &&
                       error_exit_status(&err) == 78),
                  "%s", err.message);
        cr_expect(result != 0 || (verifier_config_warning(&config) != NULL) ==
                                     (strcmp(cases[i].mode, "off") != 0 && cases[i].claim_s < 60 &&
                                      cases[i].offline_s < 60));
    }
}

Test(verifier_config, a_refusal_of_several_keys_names_the_line_of_one)
{
    struct verifier_config config;
    struct error err = {0};
    char path[] = "/tmp/tailslate-config-XXXXXX";
    static const char text[] = "claims: { duration_minutes = 0.5; };\n"
                               "\nworkers: {\n  offline_minutes = 0.5;\n};\n";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    cr_expect_eq(verifier_config_load(path, &config, &err), -1);
    TEXT(where) = must_printf("%s:4: workers.offline_minutes: is 30 s", path);
    cr_expect(strstr(err.message, where) == err.message, "%s", err.message);
    close(fd);
    unlink(path);
}
