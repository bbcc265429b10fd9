/* config: verifier.cfg as one table, from which the sample and its documentation are printed.
 *
 * Refuses contradictory settings, in a sentence, before anything is opened. */
#ifndef VERIFIER_CONFIG_H
#define VERIFIER_CONFIG_H

#include "base/config.h"
#include "base/finding.h"

#include <stdbool.h>
#include <stdint.h>

#define VERIFIER_CONFIG_PATH "/etc/tailslate/verifier.cfg"

/* Members have the names of their keys. */
struct verifier_config {
    struct {
        char address[CONFIG_TEXT_BYTES];
        int64_t port; /* 0: any free port */
        char tls_cert_file[CONFIG_TEXT_BYTES], tls_key_file[CONFIG_TEXT_BYTES]; /* "" = no TLS */
        char client_ca_file[CONFIG_TEXT_BYTES]; /* "" = no client certificates */
        int64_t connections, connections_per_address;
        char trusted_proxy[CONFIG_TEXT_BYTES]; /* "" = none */
    } listen;
    struct {
        char url[CONFIG_TEXT_BYTES], password_file[CONFIG_TEXT_BYTES], schema[CONFIG_TEXT_BYTES];
    } store;
    struct {
        char url[CONFIG_TEXT_BYTES], password_file[CONFIG_TEXT_BYTES], prefix[CONFIG_TEXT_BYTES];
    } redis;
    struct {
        char uploads_dir[CONFIG_TEXT_BYTES], videos_dir[CONFIG_TEXT_BYTES];
    } files;
    struct {
        char admin_secret_file[CONFIG_TEXT_BYTES]; /* "" = no admin calls over HTTP */
    } auth;
    struct {
        char access[CONFIG_TEXT_BYTES];
    } page;
    struct {
        double duration_minutes, retry_delay_seconds;
    } claims;
    struct {
        double offline_minutes;
        char required_version[CONFIG_TEXT_BYTES]; /* "" = any */
    } workers;
    struct {
        char mode[CONFIG_TEXT_BYTES];
        double interval_seconds, grace_seconds, cleanup_minutes, trash_hours;
    } sweeper;
    struct {
        char url[CONFIG_TEXT_BYTES], secret_file[CONFIG_TEXT_BYTES]; /* url "" = none */
        char events[CONFIG_TEXT_BYTES], ca_file[CONFIG_TEXT_BYTES];
        double timeout_seconds, retry_base_seconds, retry_cap_seconds, keep_days;
    } webhook;
    struct {
        char level[CONFIG_TEXT_BYTES], format[CONFIG_TEXT_BYTES];
    } log;
};

extern const struct config_key verifier_config_keys[];
extern const size_t verifier_config_key_count;

/* path NULL: defaults and environment. verifier_config_read accepts what contradicts itself. */
int verifier_config_read(const char *path, struct verifier_config *config, struct error *err);
int verifier_config_load(const char *path, struct verifier_config *config, struct error *err);
/* Contradictory settings; nothing outside the configuration is inspected. */
void verifier_config_judge(const struct verifier_config *config, struct findings *findings);
/* Refuses by the first of them, as verifier_config_load does. path: for the message. */
int verifier_config_check(const struct verifier_config *config, const char *path,
                          struct error *err);
/* True: this verifier releases claims; mode auto is off beside a stock server. */
bool verifier_config_sweeps(const struct verifier_config *config);
/* A warning about settings that may release a live worker's job; NULL: none. */
const char *verifier_config_warning(const struct verifier_config *config);
void verifier_config_print(const struct verifier_config *config, FILE *out);
void verifier_config_print_sample(FILE *out);

#endif
