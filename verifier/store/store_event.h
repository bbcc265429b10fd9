/* store_event: the outbox of webhooks. An event is a row that is written in the transaction in
 * which a video becomes ready or fails, so it exists if and only if that is committed; it stays
 * until the receiver has accepted it, or until it is given up.
 *
 * Of several verifiers on one database one takes an event at a time: taking it leases it, and an
 * attempt whose verifier died is made again when the lease has ended. The events of one job are
 * taken in their order: the next one when the one before it has ended. */
#ifndef VERIFIER_STORE_EVENT_H
#define VERIFIER_STORE_EVENT_H

#include "verifier/store/store.h"

#include "tailslate/token.h"

enum {
    STORE_EVENT_NAME_BYTES = 32,
    STORE_EVENT_REASON_BYTES = 256,
    /* No attempt is planned further ahead: a time that is, is of a clock that was set back. */
    STORE_EVENT_AHEAD_MAX_MS = 3 * 3600 * 1000,
    STORE_EVENTS_PRUNED_MAX = 1000, /* rows that one call deletes */
};

#define STORE_EVENT_NAME_READY  "video.ready"
#define STORE_EVENT_NAME_FAILED "video.failed"

struct store_event {
    int64_t id, job_id; /* id 0: none */
    int64_t attempts;   /* with the one that it was taken for */
    char delivery[TAILSLATE_UUID_BYTES], name[STORE_EVENT_NAME_BYTES];
    char *payload; /* one JSON object; owned */
};
void store_event_fini(struct store_event *event);

/* The event that is due, for one attempt that ends within lease_ms. */
int store_event_take(struct store *store, int64_t lease_ms, struct store_event *event,
                     struct error *err);
int store_event_delivered(struct store *store, const struct store_event *event, struct error *err);
/* The next attempt is made after delay_ms. *given_up: the event was older than keep_ms, and there
 * is none. What another verifier has taken meanwhile is left to it. */
int store_event_failed(struct store *store, const struct store_event *event, const char *reason,
                       int64_t delay_ms, int64_t keep_ms, bool *given_up, struct error *err);
/* The attempt was broken off here: the next one may be made at once. */
int store_event_put_back(struct store *store, const struct store_event *event, struct error *err);

/* Deletes events that ended longer ago than keep_ms. */
int store_event_prune(struct store *store, int64_t keep_ms, struct error *err);

struct store_events {
    int64_t waiting, given_up; /* given_up: those that are not deleted yet */
    char now[WALL_TEXT_BYTES];
    /* Of the oldest that waits; "": none. reason: of its last failed attempt; "": there was none.
     */
    char since[WALL_TEXT_BYTES], next_attempt_at[WALL_TEXT_BYTES];
    char reason[STORE_EVENT_REASON_BYTES];
};
int store_events(struct store *store, struct store_events *events, struct error *err);

#endif
