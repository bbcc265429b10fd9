#include "verifier/gate/gate.h"
#include "verifier/gate/gate_url.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct {
    const char *url, *host, *port, *user, *db;
    bool tls;
} good[] = {
    {"redis://localhost", "localhost", "6379", "", "0", false},
    {"redis://localhost/", "localhost", "6379", "", "0", false},
    {"redis://127.0.0.1:7000", "127.0.0.1", "7000", "", "0", false},
    {"redis://gate@redis.example.org:6380/3", "redis.example.org", "6380", "gate", "3", false},
    {"redis://[::1]:6380/15", "::1", "6380", "", "15", false},
    {"redis://a.b-c_d+e~f@[2001:db8::7]", "2001:db8::7", "6379", "a.b-c_d+e~f", "0", false},
    {"rediss://redis.example.org", "redis.example.org", "6379", "", "0", true},
};

Test(gate_url, what_is_well_formed_is_taken_apart)
{
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct gate_address address;
        struct error err = {0};
        cr_assert_eq(gate_url_parse(good[i].url, &address, &err), 0, "%s: %s", good[i].url,
                     err.message);
        cr_expect_str_eq(address.host, good[i].host);
        cr_expect_str_eq(address.port, good[i].port);
        cr_expect_str_eq(address.user, good[i].user);
        cr_expect_str_eq(address.db, good[i].db);
        cr_expect_eq(address.tls, good[i].tls);
    }
}

static const struct {
    const char *url, *says;
} bad[] = {
    {"localhost:6379", "scheme"},
    {"http://localhost", "scheme"},
    {"unix:///run/redis.sock", "scheme"},
    {"redis:/localhost", "scheme"},
    {"redis://", "host"},
    {"redis://:6379", "host"},
    {"redis:///0", "host"},
    {"redis://a b", "host"},
    {"redis://a%20b", "host"},
    {"redis://[::1", "bracket"},
    {"redis://[::1/0", "bracket"},
    {"redis://[localhost]", "host"},
    {"redis://[::1]x", "unexpected characters"},
    {"redis://::1", "host"},
    {"redis://host:", "port"},
    {"redis://host:0", "port"},
    {"redis://host:65536", "port"},
    {"redis://host:6379999999999", "port"},
    {"redis://host:+1", "port"},
    {"redis://host/x", "database"},
    {"redis://host/-1", "database"},
    {"redis://host/0/1", "unexpected characters"},
    {"redis://host/0?db=1", "unexpected characters"},
    {"redis://host?db=1", "unexpected characters"},
    {"redis://@host", "user"},
    {"redis://a b@host", "user"},
    {"redis://user:secret@host", "redis.password_file"},
    {"redis://:secret@host", "redis.password_file"},
    {"redis://a@b:secret@host", "redis.password_file"},
};

Test(gate_url, what_is_not_is_refused_and_never_repeated)
{
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct gate_address address;
        struct error err = {0};
        cr_expect_eq(gate_url_parse(bad[i].url, &address, &err), -1, "%s", bad[i].url);
        cr_expect_eq(err.class, ERROR_PERMANENT);
        cr_expect(strstr(err.message, bad[i].says), "%s: %s", bad[i].url, err.message);
        cr_expect_not(strstr(err.message, "secret"), "%s", err.message);
    }
}

Test(gate_url, what_is_too_long_is_refused)
{
    char url[600] = "redis://";
    struct gate_address address;
    struct error err;
    memset(url + strlen(url), 'h', GATE_HOST_BYTES - 1);
    cr_expect_eq(gate_url_parse(url, &address, &err), 0);
    url[strlen(url)] = 'h';
    cr_expect_eq(gate_url_parse(url, &address, &err), -1);
    memset(url + strlen("redis://"), 'u', GATE_USER_BYTES);
    strcpy(url + strlen("redis://") + GATE_USER_BYTES, "@host");
    cr_expect_eq(gate_url_parse(url, &address, &err), -1);
    cr_expect_eq(gate_url_parse(url + 1, &address, &err), -1);
}

Test(gate_url, none_configured_is_no_gate)
{
    struct gate *gate;
    struct error err;
    struct gate_pass pass;
    struct gate_counts counts;
    cr_assert_eq(gate_open("", "", "vlog:", &gate, &err), 0);
    cr_assert_null(gate);
    gate_enter(NULL, 1, "1-x", &pass);
    gate_leave(NULL, &pass, true);
    gate_note_sweep(NULL, GATE_SWEEP_ORPHANS, "");
    cr_expect_eq(gate_last_sweep_ms(NULL, GATE_SWEEP_ORPHANS), 0);
    gate_counts(NULL, &counts);
    cr_expect_eq(counts.state, GATE_NONE);
    gate_close(NULL);
}

Test(gate_url, what_is_wrong_with_the_configuration_is_found_at_the_start)
{
    struct gate *gate;
    struct error err;
    char prefix[GATE_PREFIX_MAX_BYTES + 2] = {0};
    memset(prefix, 'p', sizeof prefix - 1);
    cr_expect_eq(gate_open("redis://h:x", "", "vlog:", &gate, &err), -1);
    cr_expect(strstr(err.message, "redis.url: "), "%s", err.message);
    cr_expect_eq(gate_open("redis://127.0.0.1:1", "", prefix, &gate, &err), -1);
    cr_expect(strstr(err.message, "redis.prefix: "), "%s", err.message);
    cr_expect_eq(gate_open("redis://127.0.0.1:1", "", "a\nb", &gate, &err), -1);
    cr_expect_eq(gate_open("redis://127.0.0.1:1", "/nowhere", "vlog:", &gate, &err), -1);
    cr_expect(strstr(err.message, "redis.password_file: "), "%s", err.message);
    cr_expect_eq(err.class, ERROR_PERMANENT);
}

#ifndef TAILSLATE_REDIS_TLS
Test(gate_url, tls_without_a_hiredis_that_has_it_is_refused_by_its_version)
{
    struct gate *gate;
    struct error err;
    cr_assert_eq(gate_open("rediss://127.0.0.1", "", "vlog:", &gate, &err), -1);
    cr_assert_eq(error_exit_status(&err), 78);
    cr_assert(strstr(err.message, "hiredis 1.0"), "%s", err.message);
}
#endif
