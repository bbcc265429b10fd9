/* Workers and their heartbeats. */
#include "verifier/store/store_worker.h"

#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/uuid.h"
#include "verifier/store/key_memory.h"
#include "verifier/store/store_private.h"

#include <stdlib.h>
#include <string.h>

static int read_found(struct db *db, const char *worker, struct store_found_worker *found,
                      struct error *err)
{
    bool is_disabled;
    DB_ROWS(rows) = db_query(
        db,
        "SELECT id, worker_id, COALESCE(worker_name, ''), status FROM workers"
        " WHERE CAST(id AS TEXT) = $1 OR worker_id = $1 OR worker_name = $1"
        " ORDER BY CASE WHEN status = 'disabled' THEN 1 ELSE 0 END, id LIMIT 2",
        DB_ARGS(db_text(worker)), err);
    int got = rows ? db_next(rows, err) : -1;
    *found = (struct store_found_worker){.result = STORE_FOUND_NONE};
    if (got <= 0)
        return got;
    found->id = db_get_int(rows, 0);
    db_copy_text(rows, 1, found->worker_id, sizeof found->worker_id);
    db_copy_text(rows, 2, found->name, sizeof found->name);
    db_copy_text(rows, 3, found->status, sizeof found->status);
    is_disabled = strcmp(found->status, "disabled") == 0;
    found->result = STORE_FOUND;
    got = db_next(rows, err);
    if (got == 1 && (is_disabled || strcmp(db_get_text(rows, 3), "disabled") != 0))
        found->result = STORE_FOUND_SEVERAL;
    return got < 0 ? -1 : 0;
}

int store_find_worker(struct db *db, const char *worker, struct store_found_worker *found,
                      struct error *err)
{
    if (read_found(db, worker, found, err) != 0)
        return -1;
    if (found->result != STORE_FOUND)
        return 0;
    return db_one_int(db, &found->claims, err,
                      "SELECT COUNT(*) FROM transcoding_jobs WHERE worker_id = $1"
                      " AND completed_at IS NULL AND claimed_at IS NOT NULL",
                      DB_ARGS(db_text(found->worker_id))) < 0
               ? -1
               : 0;
}

int store_worker_find(struct store *store, const char *worker, struct store_found_worker *found,
                      struct error *err)
{
    TRANSACTION(tx);
    if (store_begin_reading(store, &tx, err) != 0)
        return -1;
    return store_find_worker(tx.db, worker, found, err);
}

/* Names need not be unique (a stock server's workers register again and again), so no index refuses
 * the second of two that are added at once. */
static int refuse_taken_name(struct db *db, const char *name, struct error *err)
{
    int64_t id;
    if (store_lock(db, STORE_LOCK_WORKER_NAMES, err) != 0)
        return -1;
    int got = db_one_int(db, &id, err,
                         "SELECT id FROM workers WHERE worker_name = $1 AND status <> 'disabled'"
                         " ORDER BY id LIMIT 1",
                         DB_ARGS(db_text(name)));
    if (got <= 0)
        return got;
    return error_set(err, ERROR_PERMANENT, DB_CONFLICT,
                     "there is a worker %s already (ID %lld): give it a new key with `worker "
                     "rotate`, or choose another name",
                     name, (long long)id);
}

static int add_worker(struct store *store, struct db *db, struct store_registration *registration,
                      struct error *err)
{
    char now[WALL_TEXT_BYTES];
    if (store_now(store, db, now, err) != 0 ||
        (registration->is_new_name && refuse_taken_name(db, registration->name, err) != 0))
        return -1;
    if (db_one_int(db, &registration->id, err,
                   "INSERT INTO workers (worker_id, worker_name, worker_type, registered_at,"
                   " status, capabilities, metadata) VALUES ($1, $2, $3, $4, 'active', $5, $6)"
                   " RETURNING id",
                   DB_ARGS(db_text(registration->worker_id), db_text(registration->name),
                           db_text(registration->type), db_text(now),
                           db_text(registration->capabilities), db_text(registration->metadata))) !=
        1)
        return -1;
    return store_add_key(db, registration->id, registration->api_key, now, err);
}

int store_worker_register(struct store *store, struct store_registration *registration,
                          struct error *err)
{
    uuid_make_v4(registration->worker_id);
    store_make_key(registration->api_key);
    TRANSACTION(tx);
    if (store_begin(store, &tx, err) != 0 || add_worker(store, tx.db, registration, err) != 0)
        return -1;
    return store_commit(&tx, err);
}

void store_worker_from_row(struct db_rows *rows, struct store_worker *worker)
{
    *worker = (struct store_worker){.id = db_get_int(rows, 0),
                                    .current_job_id = db_get_int(rows, 7)};
    db_copy_text(rows, 1, worker->worker_id, sizeof worker->worker_id);
    db_copy_text(rows, 2, worker->name, sizeof worker->name);
    db_copy_text(rows, 3, worker->type, sizeof worker->type);
    db_copy_text(rows, 4, worker->status, sizeof worker->status);
    db_copy_text(rows, 5, worker->registered_at, sizeof worker->registered_at);
    db_copy_text(rows, 6, worker->last_heartbeat, sizeof worker->last_heartbeat);
}

void store_mark_offline(const struct store *store, const char *now, struct store_worker *worker)
{
    char threshold[WALL_TEXT_BYTES];
    const char *heard = worker->last_heartbeat[0] ? worker->last_heartbeat : worker->registered_at;
    store_time_add(now, -store->settings.offline_ms, threshold);
    if (strcmp(worker->status, "disabled") != 0 && strcmp(heard, threshold) < 0)
        memcpy(worker->status, "offline", sizeof "offline");
}

int store_worker_list(struct store *store, struct store_worker **workers, size_t *count,
                      struct error *err)
{
    char now[WALL_TEXT_BYTES];
    *workers = NULL;
    *count = 0;
    TRANSACTION(tx);
    if (store_begin_reading(store, &tx, err) != 0 || store_now(store, tx.db, now, err) != 0)
        return -1;
    DB_ROWS(rows) = db_query(
        tx.db, STORE_WORKER_COLUMNS ", w.capabilities FROM workers w ORDER BY w.id LIMIT $1",
        DB_ARGS(db_int(STORE_LIST_MAX)), err);
    if (!rows)
        return -1;
    *workers = must_calloc(STORE_LIST_MAX, sizeof **workers);
    int got;
    while ((got = db_next(rows, err)) == 1 && *count < STORE_LIST_MAX) {
        struct store_worker *worker = &(*workers)[(*count)++];
        store_worker_from_row(rows, worker);
        const char *capabilities = db_get_text(rows, 8);
        worker->capabilities = capabilities ? must_strdup(capabilities) : NULL;
        store_mark_offline(store, now, worker);
    }
    return got < 0 ? -1 : 0;
}

struct json *store_worker_json(const struct store_worker *worker)
{
    struct json *object = json_new_object();
    json_set_int(object, "id", worker->id);
    json_set_text(object, "worker_id", worker->worker_id);
    json_set_text(object, "worker_name", worker->name);
    json_set_text(object, "worker_type", worker->type);
    json_set_text(object, "status", worker->status);
    json_set_text(object, "registered_at", worker->registered_at);
    json_set_filled(object, "last_heartbeat", worker->last_heartbeat);
    json_set_id(object, "current_job_id", worker->current_job_id);
    return object;
}

int store_worker_count(struct store *store,
                       struct store_worker_state states[STORE_WORKER_STATES_MAX], size_t *count,
                       struct error *err)
{
    char now[WALL_TEXT_BYTES], threshold[WALL_TEXT_BYTES];
    TRANSACTION(tx);
    if (store_begin_reading(store, &tx, err) != 0 || store_now(store, tx.db, now, err) != 0)
        return -1;
    store_time_add(now, -store->settings.offline_ms, threshold);
    *count = 0;
    DB_ROWS(rows) = db_query(tx.db,
                             "SELECT CASE WHEN status <> 'disabled' AND"
                             " COALESCE(last_heartbeat, registered_at) < $1 THEN 'offline'"
                             " ELSE status END, count(*) FROM workers GROUP BY 1",
                             DB_ARGS(db_text(threshold)), err);
    if (!rows)
        return -1;
    int got;
    while ((got = db_next(rows, err)) == 1 && *count < STORE_WORKER_STATES_MAX) {
        struct store_worker_state *state = &states[(*count)++];
        db_copy_text(rows, 0, state->status, sizeof state->status);
        state->count = db_get_int(rows, 1);
    }
    return got < 0 ? -1 : 0;
}

void store_workers_free(struct store_worker *workers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(workers[i].capabilities);
    free(workers);
}

int store_worker_revoke(struct store *store, const char *worker, bool *found, struct error *err)
{
    char now[WALL_TEXT_BYTES];
    int64_t id;
    TRANSACTION(tx);
    if (store_begin(store, &tx, err) != 0 || store_now(store, tx.db, now, err) != 0)
        return -1;
    int got = db_one_int(tx.db, &id, err,
                         "UPDATE workers SET status = 'disabled' WHERE worker_id = $1"
                         " OR CAST(id AS TEXT) = $1 RETURNING id",
                         DB_ARGS(db_text(worker)));
    *found = got == 1;
    if (got <= 0)
        return got;
    if (db_run(tx.db, NULL, err,
               "UPDATE worker_api_keys SET revoked_at = COALESCE(revoked_at, $2)"
               " WHERE worker_id = $1",
               DB_ARGS(db_int(id), db_text(now))) != 0)
        return -1;
    int done = store_commit(&tx, err);
    key_memory_forget(store->key_memory); /* whatever became of it */
    return done;
}

/* Runs the steps if another one would be too many. */
static int reserve_step(struct db *db, struct db_steps *steps, struct error *err)
{
    if (steps->count < DB_STEPS_MAX)
        return 0;
    int done = db_batch(db, DB_PLAIN, steps->all, steps->count, err);
    *steps = (struct db_steps){0};
    return done;
}

static int write_held_job(struct db *db, struct db_steps *steps, const char *now,
                          const char *worker_id, int64_t job_id, struct error *err)
{
    if (reserve_step(db, steps, err) != 0)
        return -1;
    db_add_step(steps,
                "INSERT INTO held_jobs (worker_id, job_id, reported_at) VALUES ($1, $2, $3)"
                " ON CONFLICT (worker_id, job_id) DO UPDATE SET reported_at = $3",
                DB_ARGS(db_text(worker_id), db_int(job_id), db_text(now)));
    return 0;
}

static int write_held_jobs(struct db *db, struct db_steps *steps, const char *now,
                           const char *worker_id, const struct message_heartbeat *heartbeat,
                           struct error *err)
{
    db_add_step(steps, "DELETE FROM held_jobs WHERE worker_id = $1", DB_ARGS(db_text(worker_id)));
    if (!heartbeat->jobs_known)
        return 0;
    if (write_held_job(db, steps, now, worker_id, 0, err) != 0)
        return -1;
    for (size_t i = 0; i < heartbeat->job_count; i++)
        if (write_held_job(db, steps, now, worker_id, heartbeat->jobs[i], err) != 0)
            return -1;
    return 0;
}

void store_required_version(struct store *store, char version[CODE_VERSION_BYTES])
{
    pthread_mutex_lock(&store->lock);
    snprintf(version, CODE_VERSION_BYTES, "%s", store->required_version);
    pthread_mutex_unlock(&store->lock);
}

/* As a stock server does: a worker that reports no version is accepted. */
bool store_version_fits(struct store *store, const char *code_version)
{
    char required[CODE_VERSION_BYTES];
    store_required_version(store, required);
    return !required[0] || !code_version[0] || strcmp(code_version, required) == 0;
}

/* The metadata, with the version that a claim is judged by: a stock server stores it there, too.
 * NULL: neither was reported. */
static char *metadata_of(const struct message_heartbeat *heartbeat)
{
    struct error ignored;
    const char *metadata = heartbeat->metadata;
    if (!heartbeat->code_version[0])
        return metadata ? must_strdup(metadata) : NULL;
    JSON(root) = metadata ? json_parse(metadata, strlen(metadata), &ignored) : json_new_object();
    json_set_text(root, "code_version", heartbeat->code_version);
    return json_print(root);
}

static void read_current_job(struct db_step *step, struct db_rows *rows)
{
    *(int64_t *)step->ctx = db_get_int(rows, 0);
}

static void write_heartbeat(struct db_steps *steps, const char *now, struct store_worker *worker,
                            const struct message_heartbeat *heartbeat, const char *metadata)
{
    /* A heartbeat with nothing but a version leaves the metadata that was reported before. */
    bool is_bare = !heartbeat->metadata;
    struct db_step *step = db_add_step(
        steps,
        "UPDATE workers SET last_heartbeat = $2, status = $3,"
        " capabilities = COALESCE($4, capabilities), metadata = CASE WHEN $6 = 1"
        " THEN COALESCE(metadata, $5) ELSE $5 END"
        " WHERE worker_id = $1 AND status <> 'disabled'"
        " RETURNING COALESCE(current_job_id, 0)",
        DB_ARGS(db_text(worker->worker_id), db_text(now),
                db_text(worker_status_name(heartbeat->status)), db_text(heartbeat->capabilities),
                db_text(metadata), db_int(is_bare ? 1 : 0)));
    step->row = read_current_job;
    step->ctx = &worker->current_job_id;
    db_add_step(steps, "UPDATE worker_api_keys SET last_used_at = $2 WHERE id = $1",
                DB_ARGS(db_int(worker->key_id), db_text(now)));
}

int store_heartbeat(struct store *store, struct store_worker *worker,
                    const struct message_heartbeat *heartbeat, struct error *err)
{
    char now[WALL_TEXT_BYTES];
    struct db_steps steps = {0};
    TEXT(metadata) = metadata_of(heartbeat);
    TRANSACTION(tx);
    if (store_begin_at(store, DB_TOGETHER, &tx, now, err) != 0)
        return -1;
    write_heartbeat(&steps, now, worker, heartbeat, metadata);
    if (write_held_jobs(tx.db, &steps, now, worker->worker_id, heartbeat, err) != 0 ||
        store_commit_with(&tx, steps.all, steps.count, err) != 0)
        return -1;
    snprintf(worker->status, sizeof worker->status, "%s", worker_status_name(heartbeat->status));
    memcpy(worker->last_heartbeat, now, sizeof worker->last_heartbeat);
    return 0;
}
