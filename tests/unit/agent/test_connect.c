#include "../base/scratch.h"
#include "agent/api/connect.h"

static int load(const struct scratch *scratch, const char *text, struct config *config,
                struct error *err)
{
    scratch_put_text(scratch, "agent.cfg", text);
    TEXT(path) = must_printf("%s/agent.cfg", scratch->path);
    return agent_config_load(path, config, err);
}

Test(connect, a_key_that_others_can_read_is_refused)
{
    SCRATCH(scratch);
    static struct config config;
    struct error err;
    scratch_put(&scratch, "key", "secret\n", 7, 0644);
    TEXT(text) = must_printf("server: { api_key_file = \"%s/key\"; };", scratch.path);
    cr_assert_eq(load(&scratch, text, &config, &err), 0, "%s", err.message);
    cr_expect_null(connect_client(&config, &err));
    cr_expect(strstr(err.message, "/key"), "%s", err.message);
    cr_expect_not(strstr(err.message, "secret"), "it told the secret");
    scratch_put(&scratch, "key", "secret\n", 7, 0600);
    struct http_client *client = connect_client(&config, &err);
    cr_expect(client, "%s", err.message);
    http_client_free(client);
}

Test(connect, retries_are_in_milliseconds)
{
    SCRATCH(scratch);
    static struct config config;
    struct error err;
    cr_assert_eq(
        load(&scratch, "retry: { base_seconds = 0.25; cap_seconds = 2.5; };", &config, &err), 0);
    struct tailslate_backoff policy = connect_backoff(&config);
    cr_expect_eq(policy.base_ms, 250);
    cr_expect_eq(policy.cap_ms, 2500);
}

Test(connect, a_rotated_key_is_told_from_the_same_and_a_bad_file_changes_nothing)
{
    SCRATCH(scratch);
    static struct config config;
    struct error err;
    scratch_put(&scratch, "key", "first\n", 6, 0600);
    TEXT(text) = must_printf("server: { api_key_file = \"%s/key\"; };", scratch.path);
    cr_assert_eq(load(&scratch, text, &config, &err), 0, "%s", err.message);
    struct http_client *client = connect_client(&config, &err);
    cr_assert(client, "%s", err.message);
    cr_expect_eq(connect_renew_key(&config, client, &err), 0);
    scratch_put(&scratch, "key", "second\n", 7, 0644);
    cr_expect_eq(connect_renew_key(&config, client, &err), -1);
    cr_expect(strstr(err.message, "server.api_key_file"), "%s", err.message);
    scratch_put(&scratch, "key", "second\n", 7, 0600);
    cr_expect_eq(connect_renew_key(&config, client, &err), 1);
    cr_expect_eq(connect_renew_key(&config, client, &err), 0);
    http_client_free(client);
}

/* The server takes who is silent for dead, and gives its jobs away. */
Test(connect, no_patience_asked_for_silences_the_signs_of_life)
{
    struct tailslate_backoff slow = {.base_ms = 300 * 1000, .cap_ms = 300 * 1000};
    int64_t longest_ms = connect_life_delay_ms(slow, 20, 3600 * 1000, UINT64_MAX);
    cr_expect_leq(longest_ms, 2 * CONNECT_LIFE_CAP_MS);
    cr_expect_geq(connect_life_delay_ms(slow, 0, 3600 * 1000, 0), CONNECT_LIFE_CAP_MS);
    struct tailslate_backoff quick = {.base_ms = 100, .cap_ms = 1000};
    cr_expect_geq(connect_life_delay_ms(quick, 0, 30 * 1000, 0), 30 * 1000);
}
