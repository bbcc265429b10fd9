#include "verifier/store/store_activity.h"

#include "lib/json.h"
#include "verifier/store/store_json.h"
#include "verifier/store/store_private.h"

#include <string.h>

enum { FACT_MAX_BYTES = 255 }; /* of a text in a heartbeat's metadata */

/* A list under construction. */
struct jobs {
    int64_t ids[ACTIVITY_RUNNING_MAX];
    struct json *objects[ACTIVITY_RUNNING_MAX]; /* owned until jobs_list */
    struct json *progress[ACTIVITY_RUNNING_MAX];
    size_t count;
};

static void jobs_fini(struct jobs *jobs)
{
    for (size_t i = 0; i < jobs->count; i++) {
        json_free(jobs->objects[i]);
        json_free(jobs->progress[i]);
    }
}
#define JOBS(name) CLEANUP(jobs_fini) struct jobs name = {.count = 0}

/* sql ends with a limit, $1, of at most ACTIVITY_RUNNING_MAX. */
static int read_jobs(struct db *db, const char *sql, int64_t max, struct jobs *jobs,
                     struct error *err)
{
    DB_ROWS(rows) = db_query(db, sql, DB_ARGS(db_int(max)), err);
    if (!rows)
        return -1;
    int got;
    while ((got = db_next(rows, err)) == 1 && jobs->count < ACTIVITY_RUNNING_MAX) {
        struct store_job job;
        store_job_from_row(rows, &job);
        struct json *object = store_job_json(&job);
        json_set_number(object, "duration", job.duration);
        jobs->ids[jobs->count] = job.id;
        jobs->objects[jobs->count++] = object;
    }
    return got < 0 ? -1 : 0;
}

static struct json *jobs_list(struct jobs *jobs)
{
    struct json *list = json_new_array();
    for (size_t i = 0; i < jobs->count; i++) {
        if (jobs->progress[i])
            json_set(jobs->objects[i], "quality_progress", jobs->progress[i]);
        json_append(list, jobs->objects[i]);
    }
    jobs->count = 0;
    return list;
}

static void add_progress(struct jobs *jobs, struct db_rows *rows)
{
    size_t i = 0;
    while (i < jobs->count && jobs->ids[i] != db_get_int(rows, 0))
        i++;
    if (i == jobs->count)
        return;
    if (!jobs->progress[i])
        jobs->progress[i] = json_new_array();
    struct json *object = json_new_object();
    json_set_text(object, "name", db_get_text(rows, 1));
    json_set_text(object, "status", db_get_text(rows, 2));
    json_set_int(object, "progress", db_get_int(rows, 3));
    json_append(jobs->progress[i], object);
}

#define RUNNING                                                                                    \
    " WHERE j.completed_at IS NULL AND j.claimed_at IS NOT NULL"                                   \
    " ORDER BY j.claimed_at, j.id LIMIT $1"
#define WAITING                                                                                    \
    " WHERE j.completed_at IS NULL AND j.claimed_at IS NULL"                                       \
    " ORDER BY COALESCE(q.priority, 0) DESC, j.id LIMIT $1"
#define FAILED                                                                                     \
    " WHERE v.status = 'failed' AND j.completed_at IS NOT NULL"                                    \
    " ORDER BY j.completed_at DESC, j.id DESC LIMIT $1"

static int read_progress(struct db *db, struct jobs *jobs, struct error *err)
{
    DB_ROWS(rows) = db_query(db,
                             "SELECT p.job_id, p.quality, p.status, p.progress_percent"
                             " FROM quality_progress p WHERE p.job_id IN"
                             " (SELECT j.id FROM transcoding_jobs j" RUNNING ")"
                             " ORDER BY p.job_id, p.id",
                             DB_ARGS(db_int(ACTIVITY_RUNNING_MAX)), err);
    if (!rows)
        return -1;
    int got;
    while ((got = db_next(rows, err)) == 1)
        add_progress(jobs, rows);
    return got;
}

static int add_running(struct db *db, struct json *root, struct error *err)
{
    JOBS(jobs);
    if (read_jobs(db, STORE_JOB_COLUMNS RUNNING, ACTIVITY_RUNNING_MAX, &jobs, err) != 0 ||
        read_progress(db, &jobs, err) != 0)
        return -1;
    json_set(root, "running", jobs_list(&jobs));
    return 0;
}

static int add_jobs(struct db *db, struct json *root, const char *key, const char *sql, int64_t max,
                    struct error *err)
{
    JOBS(jobs);
    if (read_jobs(db, sql, max, &jobs, err) != 0)
        return -1;
    json_set(root, key, jobs_list(&jobs));
    return 0;
}

/* What the worker itself reported, where it has the type that it should have. */
static void add_facts(struct json *object, const char *metadata)
{
    static const char *const texts[] = {"encoder", "agent_version", "waiting_reason"};
    static const char *const numbers[] = {"slots", "slots_used", "disk_free_bytes"};
    struct error ignored;
    JSON(facts) = metadata ? json_parse(metadata, strlen(metadata), &ignored) : NULL;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *text = NULL;
        json_get_text(facts, texts[i], FACT_MAX_BYTES, &text);
        json_set_text(object, texts[i], text);
    }
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        int64_t number;
        if (json_get_int(facts, numbers[i], 0, INT64_MAX, &number) == JSON_FOUND)
            json_set_int(object, numbers[i], number);
    }
}

static struct json *worker_object(const struct store_worker *worker, const char *metadata)
{
    struct json *object = json_new_object();
    json_set_text(object, "worker_id", worker->worker_id);
    json_set_text(object, "worker_name", worker->name);
    json_set_text(object, "status", worker->status);
    add_facts(object, metadata);
    return object;
}

static int read_workers(struct store *store, struct db *db, struct json *plain, struct json *timed,
                        struct error *err)
{
    char now[WALL_TEXT_BYTES];
    if (store_now(store, db, now, err) != 0)
        return -1;
    DB_ROWS(rows) = db_query(db,
                             STORE_WORKER_COLUMNS
                             ", w.metadata FROM workers w"
                             " ORDER BY CASE WHEN w.status = 'disabled' THEN 1 ELSE 0 END, w.id"
                             " LIMIT $1",
                             DB_ARGS(db_int(ACTIVITY_WORKERS_MAX)), err);
    if (!rows)
        return -1;
    int got;
    while ((got = db_next(rows, err)) == 1) {
        struct store_worker worker;
        store_worker_from_row(rows, &worker);
        store_mark_offline(store, now, &worker);
        struct json *object = worker_object(&worker, db_get_text(rows, 8));
        json_append(plain, json_copy(object));
        json_set_filled(object, "last_heartbeat", worker.last_heartbeat);
        json_append(timed, object);
    }
    return got;
}

static int read_activity(struct store *store, struct json *root, struct json *timed,
                         struct error *err)
{
    TRANSACTION(tx);
    if (store_begin_reading(store, &tx, err) != 0 || add_running(tx.db, root, err) != 0 ||
        add_jobs(tx.db, root, "waiting", STORE_JOB_COLUMNS WAITING, ACTIVITY_WAITING_MAX, err) !=
            0 ||
        add_jobs(tx.db, root, "failed", STORE_JOB_COLUMNS FAILED, ACTIVITY_FAILED_MAX, err) != 0)
        return -1;
    struct json *plain = json_new_array();
    json_set(root, "workers", plain);
    return read_workers(store, tx.db, plain, timed, err);
}

int store_activity(struct store *store, struct json *root, struct json **workers, struct error *err)
{
    *workers = json_new_array();
    if (read_activity(store, root, *workers, err) == 0)
        return 0;
    json_free(*workers);
    *workers = NULL;
    return -1;
}
