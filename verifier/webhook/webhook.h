/* webhook: a thread that tells the receiver about events, each until it is accepted.
 *
 * At least once: an event is settled in the store only after the receiver's 2xx, so that a crash in
 * between sends it again, with the same ID. One attempt at a time; after one that failed a second
 * passes before the next event is tried, and each event has its own backoff. Without a URL events
 * stay where they are.
 *
 * Fatal: nothing. What the database refuses is tried again a second later. */
#ifndef VERIFIER_WEBHOOK_H
#define VERIFIER_WEBHOOK_H

#include "verifier/base/config.h"
#include "verifier/store/store.h"
#include "verifier/webhook/post.h"

#include "tailslate/backoff.h"

enum {
    WEBHOOK_POLL_MS = 1000,
    WEBHOOK_LEASE_MARGIN_MS = 5 * 1000, /* from the end of an attempt until it is recorded */
    WEBHOOK_PRUNE_MS = 3600 * 1000,     /* between two deletions of old events */
    WEBHOOK_COUNT_MS = 10 * 1000,       /* between two counts for the metrics */
    WEBHOOK_END_MS = 4000,
};

struct webhook_settings {
    char url[CONFIG_TEXT_BYTES], ca_file[CONFIG_TEXT_BYTES]; /* url "": off */
    char secret[CONFIG_SECRET_BYTES];
    int64_t timeout_ms, keep_ms;
    struct tailslate_backoff backoff;
};
/* From the configuration and the secret's file. */
int webhook_settings_read(const struct verifier_config *config, struct webhook_settings *settings,
                          struct error *err);

/* One attempt. delivery: the event's ID, the same at every attempt. */
void webhook_send(const struct webhook_settings *settings, const char *event, const char *delivery,
                  const char *body, const atomic_bool *is_broken_off, struct post_answer *answer);
static inline bool webhook_is_accepted(const struct post_answer *answer)
{
    return answer->status >= 200 && answer->status <= 299;
}

void webhook_metrics_register(void); /* once, before threads start */

struct webhook;
struct webhook *webhook_start(struct store *store, const struct webhook_settings *settings);
void webhook_reconfigure(struct webhook *webhook, const struct webhook_settings *settings);
void webhook_stop(struct webhook *webhook); /* asks the thread to end */
/* Waits for the thread. False: it has not ended within WEBHOOK_END_MS of webhook_stop (a database
 * that hangs), and nothing is freed. */
bool webhook_free(struct webhook *webhook);

#endif
