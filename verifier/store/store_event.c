#include "verifier/store/store_event.h"

#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/uuid.h"
#include "verifier/store/store_json.h"
#include "verifier/store/store_private.h"

#include <stdlib.h>
#include <string.h>

/* ---- written with what it is about ----------------------------------------------------------- */

static char *payload_of(const struct store_details *details, const char *name, const char *delivery,
                        bool is_ready)
{
    const struct store_job *job = &details->job;
    JSON(root) = json_new_object();
    json_set_text(root, "event", name);
    json_set_text(root, "id", delivery);
    json_set_text(root, "occurred_at", job->completed_at);
    json_set_int(root, "job_id", job->id);
    json_set_int(root, "video_id", job->video_id);
    json_set_text(root, "slug", job->slug);
    json_set_text(root, "title", job->title);
    json_set_text(root, "status", job->video_status);
    json_set_filled(root, "streaming_format", job->format);
    json_set_filled(root, "primary_codec", job->codec);
    json_set_number(root, "duration", job->duration);
    json_set(root, "qualities", store_renditions_json(details));
    json_set_filled(root, "reason", is_ready ? "" : job->last_error);
    return json_print(root);
}

static int insert_event(struct db *db, const struct store_details *details, bool is_ready,
                        struct error *err)
{
    const char *name = is_ready ? STORE_EVENT_NAME_READY : STORE_EVENT_NAME_FAILED;
    char delivery[TAILSLATE_UUID_BYTES];
    uuid_make_v4(delivery);
    TEXT(payload) = payload_of(details, name, delivery, is_ready);
    return db_run(db, NULL, err,
                  "INSERT INTO webhook_events (delivery, event, job_id, payload, occurred_at,"
                  " next_attempt_at) VALUES ($1, $2, $3, $4, $5, $5)",
                  DB_ARGS(db_text(delivery), db_text(name), db_int(details->job.id),
                          db_text(payload), db_text(details->job.completed_at)));
}

int store_note_event(struct store *store, struct db *db, int64_t job_id, struct error *err)
{
    unsigned events = store->settings.events;
    struct store_details details = {0};
    if (events == 0)
        return 0;
    if (store_read_job(db, job_id, &details.found, &details.job, err) != 0)
        return -1;
    must(details.found && details.job.completed_at[0]);
    bool is_ready = strcmp(details.job.video_status, "ready") == 0;
    if (!(events & (is_ready ? STORE_EVENT_READY : STORE_EVENT_FAILED)))
        return 0;
    return store_read_renditions(db, &details, err) == 0 ? insert_event(db, &details, is_ready, err)
                                                         : -1;
}

/* ---- taken and settled ----------------------------------------------------------------------- */

/* $1: now, $2: the latest time for which an attempt may be planned. */
#define DUE_EVENT                                                                                  \
    "SELECT e.id, e.job_id, e.attempts, e.delivery, e.event, e.payload FROM webhook_events e"      \
    " WHERE e.ended_at IS NULL AND (e.next_attempt_at <= $1 OR e.next_attempt_at > $2)"            \
    " AND NOT EXISTS (SELECT 1 FROM webhook_events b WHERE b.job_id = e.job_id AND b.id < e.id"    \
    " AND b.ended_at IS NULL) ORDER BY e.next_attempt_at, e.id LIMIT 1"

static int read_due(struct store *store, struct db *db, const char *sql, char now[WALL_TEXT_BYTES],
                    struct store_event *event, struct error *err)
{
    char ahead[WALL_TEXT_BYTES];
    if (store_now(store, db, now, err) != 0)
        return -1;
    store_time_add(now, STORE_EVENT_AHEAD_MAX_MS, ahead);
    DB_ROWS(rows) = db_query(db, sql, DB_ARGS(db_text(now), db_text(ahead)), err);
    int got = rows ? db_next(rows, err) : -1;
    if (got <= 0)
        return got;
    event->id = db_get_int(rows, 0);
    event->job_id = db_get_int(rows, 1);
    event->attempts = db_get_int(rows, 2) + 1;
    db_copy_text(rows, 3, event->delivery, sizeof event->delivery);
    db_copy_text(rows, 4, event->name, sizeof event->name);
    free(event->payload);
    event->payload = must_strdup(db_get_text(rows, 5));
    return 1;
}

/* Asked every second, so without a write lock. */
static int is_any_due(struct store *store, struct error *err)
{
    char now[WALL_TEXT_BYTES];
    struct store_event event = {0};
    TRANSACTION(tx);
    int due = store_begin_reading(store, &tx, err) == 0
                  ? read_due(store, tx.db, DUE_EVENT, now, &event, err)
                  : -1;
    store_event_fini(&event);
    return due;
}

static int take(struct store *store, int64_t lease_ms, struct store_event *event, struct error *err)
{
    char now[WALL_TEXT_BYTES], until[WALL_TEXT_BYTES];
    TRANSACTION(tx);
    if (store_begin(store, &tx, err) != 0)
        return -1;
    int got = read_due(store, tx.db, DUE_EVENT DB_FOR_UPDATE_SKIP, now, event, err);
    if (got <= 0)
        return got;
    store_time_add(now, lease_ms, until);
    if (db_run(tx.db, NULL, err,
               "UPDATE webhook_events SET attempts = $2, next_attempt_at = $3 WHERE id = $1",
               DB_ARGS(db_int(event->id), db_int(event->attempts), db_text(until))) != 0)
        return -1;
    return store_commit(&tx, err);
}

int store_event_take(struct store *store, int64_t lease_ms, struct store_event *event,
                     struct error *err)
{
    *event = (struct store_event){0};
    int due = is_any_due(store, err);
    if (due <= 0)
        return due;
    if (take(store, lease_ms, event, err) == 0)
        return 0;
    store_event_fini(event);
    return -1;
}

void store_event_fini(struct store_event *event)
{
    free(event->payload);
    *event = (struct store_event){0};
}

/* sql: $1 the event, $2 its attempts as this one has taken it, $3 now. */
static int settle(struct store *store, const char *sql, const struct store_event *event,
                  struct error *err)
{
    char now[WALL_TEXT_BYTES];
    TRANSACTION(tx);
    if (store_begin(store, &tx, err) != 0 || store_now(store, tx.db, now, err) != 0 ||
        db_run(tx.db, NULL, err, sql,
               DB_ARGS(db_int(event->id), db_int(event->attempts), db_text(now))) != 0)
        return -1;
    return store_commit(&tx, err);
}

/* Delivered is delivered, whoever has taken it since. */
int store_event_delivered(struct store *store, const struct store_event *event, struct error *err)
{
    return settle(store,
                  "UPDATE webhook_events SET ended_at = $3, outcome = 'delivered'"
                  " WHERE id = $1 AND attempts >= $2 AND ended_at IS NULL",
                  event, err);
}

int store_event_put_back(struct store *store, const struct store_event *event, struct error *err)
{
    return settle(store,
                  "UPDATE webhook_events SET next_attempt_at = $3"
                  " WHERE id = $1 AND attempts = $2 AND ended_at IS NULL",
                  event, err);
}

int store_event_failed(struct store *store, const struct store_event *event, const char *reason,
                       int64_t delay_ms, int64_t keep_ms, bool *given_up, struct error *err)
{
    char now[WALL_TEXT_BYTES], next[WALL_TEXT_BYTES], oldest[WALL_TEXT_BYTES];
    int64_t ended = 0;
    TRANSACTION(tx);
    if (store_begin(store, &tx, err) != 0 || store_now(store, tx.db, now, err) != 0)
        return -1;
    store_time_add(now, delay_ms, next);
    store_time_add(now, -keep_ms, oldest);
    if (db_one_int(tx.db, &ended, err,
                   "UPDATE webhook_events SET last_error = $3, next_attempt_at = $4,"
                   " ended_at = CASE WHEN occurred_at < $6 THEN $5 ELSE ended_at END,"
                   " outcome = CASE WHEN occurred_at < $6 THEN 'given_up' END"
                   " WHERE id = $1 AND attempts = $2 AND ended_at IS NULL"
                   " RETURNING CASE WHEN ended_at IS NULL THEN 0 ELSE 1 END",
                   DB_ARGS(db_int(event->id), db_int(event->attempts), db_text(reason),
                           db_text(next), db_text(now), db_text(oldest))) < 0)
        return -1;
    *given_up = ended != 0;
    return store_commit(&tx, err);
}

int store_event_prune(struct store *store, int64_t keep_ms, struct error *err)
{
    char now[WALL_TEXT_BYTES], oldest[WALL_TEXT_BYTES];
    TRANSACTION(tx);
    if (store_begin(store, &tx, err) != 0 || store_now(store, tx.db, now, err) != 0)
        return -1;
    store_time_add(now, -keep_ms, oldest);
    if (db_run(tx.db, NULL, err,
               "DELETE FROM webhook_events WHERE id IN (SELECT id FROM webhook_events"
               " WHERE ended_at < $1 ORDER BY id LIMIT $2)",
               DB_ARGS(db_text(oldest), db_int(STORE_EVENTS_PRUNED_MAX))) != 0)
        return -1;
    return store_commit(&tx, err);
}

/* ---- shown ----------------------------------------------------------------------------------- */

static int read_waiting(struct db *db, struct store_events *events, struct error *err)
{
    DB_ROWS(rows) = db_query(db,
                             "SELECT occurred_at, next_attempt_at, last_error FROM webhook_events"
                             " WHERE ended_at IS NULL ORDER BY id LIMIT 1",
                             DB_NO_ARGS, err);
    int got = rows ? db_next(rows, err) : -1;
    if (got <= 0)
        return got;
    db_copy_text(rows, 0, events->since, sizeof events->since);
    db_copy_text(rows, 1, events->next_attempt_at, sizeof events->next_attempt_at);
    db_copy_text(rows, 2, events->reason, sizeof events->reason);
    return 0;
}

int store_events(struct store *store, struct store_events *events, struct error *err)
{
    *events = (struct store_events){0};
    TRANSACTION(tx);
    if (store_begin_reading(store, &tx, err) != 0 ||
        store_now(store, tx.db, events->now, err) != 0 ||
        db_one_int(tx.db, &events->waiting, err,
                   "SELECT COUNT(*) FROM webhook_events WHERE ended_at IS NULL", DB_NO_ARGS) < 0 ||
        db_one_int(tx.db, &events->given_up, err,
                   "SELECT COUNT(*) FROM webhook_events WHERE outcome = 'given_up'",
                   DB_NO_ARGS) < 0)
        return -1;
    return events->waiting > 0 ? read_waiting(tx.db, events, err) : 0;
}
