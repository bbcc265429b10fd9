#include "store.h"

#include "store_private.h"
#include "store_schema.h"

#include "tailslate/cleanup.h"
#include "tailslate/clock.h"

#include <string.h>
#include <time.h>

struct store *store_open(const struct store_settings *settings, struct error *err)
{
    struct db *db = db_open(settings->url, settings->password_file, err);
    if (!db)
        return NULL;
    if (store_schema_prepare(db, err) != 0) {
        db_close(db);
        return NULL;
    }
    struct store *store = must_calloc(1, sizeof *store);
    store->settings = *settings;
    store->url = must_strdup(settings->url);
    store->settings.url = store->url;
    store->up_since_us = wall_us();
    pthread_condattr_t attributes;
    must(pthread_condattr_init(&attributes) == 0);
    must(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    must(pthread_cond_init(&store->returned, &attributes) == 0);
    must(pthread_mutex_init(&store->lock, NULL) == 0);
    pthread_condattr_destroy(&attributes);
    store->idle[store->idle_count++] = db;
    store->open_count = 1;
    return store;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    must(store->idle_count == store->open_count);
    for (int i = 0; i < store->idle_count; i++)
        db_close(store->idle[i]);
    pthread_cond_destroy(&store->returned);
    pthread_mutex_destroy(&store->lock);
    free(store->url);
    free(store);
}

static struct timespec in_ms(int64_t ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

/* A connection that is idle, or the right to open one (*may_open). */
static struct db *wait_for_idle(struct store *store, bool *may_open)
{
    struct db *db = NULL;
    struct timespec deadline = in_ms(DB_WAIT_MS);
    int waited = 0;
    *may_open = false;
    pthread_mutex_lock(&store->lock);
    while (store->idle_count == 0 && store->open_count == STORE_CONNECTIONS_MAX && waited == 0)
        waited = pthread_cond_timedwait(&store->returned, &store->lock, &deadline);
    if (store->idle_count > 0) {
        db = store->idle[--store->idle_count];
    } else if (store->open_count < STORE_CONNECTIONS_MAX) {
        store->open_count++;
        *may_open = true;
    }
    pthread_mutex_unlock(&store->lock);
    return db;
}

static void forget(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    store->open_count--;
    pthread_cond_signal(&store->returned);
    pthread_mutex_unlock(&store->lock);
}

struct db *store_take(struct store *store, struct error *err)
{
    bool may_open;
    struct db *db = wait_for_idle(store, &may_open);
    if (db)
        return db;
    if (!may_open) {
        error_set(err, ERROR_TEMPORARY, DB_BUSY, "no database connection was free within %d ms",
                  DB_WAIT_MS);
        return NULL;
    }
    db = db_open(store->url, store->settings.password_file, err);
    if (!db)
        forget(store);
    return db;
}

void store_give(struct store *store, struct db *db, const struct error *err)
{
    if (err && (err->code == DB_BROKEN || err->code == DB_UNKNOWN)) {
        db_close(db);
        forget(store);
        return;
    }
    pthread_mutex_lock(&store->lock);
    store->idle[store->idle_count++] = db;
    pthread_cond_signal(&store->returned);
    pthread_mutex_unlock(&store->lock);
}

int store_transaction(struct store *store, store_work *work, void *ctx, struct error *err)
{
    struct db *db = store_take(store, err);
    if (!db)
        return -1;
    int result = db_begin(db, err);
    if (result == 0)
        result = work(store, db, ctx, err);
    if (result == 0)
        result = db_commit(db, err);
    if (result != 0)
        db_rollback(db);
    store_give(store, db, result == -1 ? err : NULL);
    return result == -1 ? -1 : 0;
}

int store_reading(struct store *store, store_work *work, void *ctx, struct error *err)
{
    struct db *db = store_take(store, err);
    if (!db)
        return -1;
    int result = db_begin_reading(db, err);
    if (result == 0)
        result = work(store, db, ctx, err);
    db_rollback(db);
    store_give(store, db, result == -1 ? err : NULL);
    return result == -1 ? -1 : 0;
}

static int ping(struct store *store, struct db *db, void *ctx, struct error *err)
{
    (void)store;
    (void)ctx;
    int64_t version;
    return db_one_int(db, &version, err, "SELECT MAX(version) FROM schema_version", DB_NO_ARGS) < 0
               ? -1
               : 0;
}

int store_ping(struct store *store, struct error *err)
{
    return store_reading(store, ping, NULL, err);
}

int store_now(struct store *store, struct db *db, char now[WALL_TEXT_BYTES], struct error *err)
{
    if (db_now(db, now, err) != 0)
        return -1;
    if (store->settings.ahead_ms)
        store_time_add(now, *store->settings.ahead_ms, now);
    return 0;
}

void store_time_add(const char *now, int64_t ms, char text[WALL_TEXT_BYTES])
{
    int64_t us;
    must(wall_parse(now, &us));
    wall_format(us + ms * 1000, text);
}
