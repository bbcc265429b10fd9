#include "verifier/store/store.h"

#include "base/clock.h"
#include "verifier/store/key_memory.h"
#include "verifier/store/keys.h"
#include "verifier/store/store_private.h"
#include "verifier/store/store_schema_vlog.h"

#include <stdlib.h>

static struct store *new_store(const struct store_settings *settings)
{
    struct store *store = must_calloc(1, sizeof *store);
    store->settings = *settings;
    store->url = must_strdup(settings->url);
    store->settings.url = store->url;
    store->password_file = must_strdup(settings->password_file ? settings->password_file : "");
    store->settings.password_file = store->password_file;
    store->settings.required_version = NULL; /* its copy is */
    store->keys = keys_new();
    store->key_memory = key_memory_new();
    store_pool_init(store);
    store_reconfigure(store, settings);
    return store;
}

struct store *store_open(const struct store_settings *settings, struct error *err)
{
    struct store *store = new_store(settings);
    struct db *db = store_take(store, err);
    if (db) {
        store_give(store, db);
        return store;
    }
    /* Down or not started yet: only temporary errors are waited out. */
    if (settings->may_come_later && err->class == ERROR_TEMPORARY)
        return store;
    store_close(store);
    return NULL;
}

void store_reconfigure(struct store *store, const struct store_settings *settings)
{
    const char *version = settings->required_version;
    store->settings.claim_ms = settings->claim_ms;
    store->settings.offline_ms = settings->offline_ms;
    store->settings.grace_ms = settings->grace_ms;
    store->settings.retry_delay_ms = settings->retry_delay_ms;
    store->settings.events = settings->events;
    pthread_mutex_lock(&store->lock);
    snprintf(store->required_version, sizeof store->required_version, "%s", version ? version : "");
    pthread_mutex_unlock(&store->lock);
}

void store_close(struct store *store)
{
    if (!store)
        return;
    store_pool_fini(store);
    keys_free(store->keys);
    key_memory_free(store->key_memory);
    free(store->url);
    free(store->password_file);
    free(store);
}

void store_print_remedies(const struct store_settings *settings, FILE *out)
{
    struct error ignored; /* what is wrong has been said */
    struct db *db = settings->schema == STORE_SCHEMA_VLOG
                        ? db_open(settings->url, settings->password_file, &ignored)
                        : NULL;
    if (db)
        store_schema_print_remedies(db, out, &ignored);
    db_close(db);
}

int store_ping(struct store *store, struct error *err)
{
    int64_t version;
    TRANSACTION(tx);
    if (store_begin_reading(store, &tx, err) != 0)
        return -1;
    return db_one_int(tx.db, &version, err, "SELECT MAX(version) FROM schema_version", DB_NO_ARGS) <
                   0
               ? -1
               : 0;
}

static void go_ahead(const struct store *store, char now[WALL_TEXT_BYTES])
{
    if (store->settings.ahead_ms)
        store_time_add(now, *store->settings.ahead_ms, now);
}

int store_now(struct store *store, struct db *db, char now[WALL_TEXT_BYTES], struct error *err)
{
    if (db_now(db, now, err) != 0)
        return -1;
    go_ahead(store, now);
    return 0;
}

void store_now_from(const struct store *store, struct db_rows *rows, int column,
                    char now[WALL_TEXT_BYTES])
{
    db_copy_text(rows, column, now, WALL_TEXT_BYTES);
    go_ahead(store, now);
}

struct clock {
    const struct store *store;
    char *now;
};

static void read_clock(struct db_step *step, struct db_rows *rows)
{
    const struct clock *clock = step->ctx;
    store_now_from(clock->store, rows, 0, clock->now);
}

int store_begin_at(struct store *store, enum db_sharing sharing, struct store_transaction *tx,
                   char now[WALL_TEXT_BYTES], struct error *err)
{
    struct clock clock = {store, now};
    struct db_step step = {.sql = "SELECT" DB_CLOCK, .row = read_clock, .ctx = &clock};
    return (sharing == DB_TOGETHER ? store_begin_together : store_begin_with)(store, &step, 1, tx,
                                                                              err);
}

void store_time_add(const char *now, int64_t ms, char text[WALL_TEXT_BYTES])
{
    int64_t us;
    must(wall_parse(now, &us));
    wall_format(us + ms * 1000, text);
}

int store_lock(struct db *db, int number, struct error *err)
{
    if (db_kind(db) != DB_POSTGRESQL)
        return 0;
    return db_run(db, NULL, err, "SELECT pg_catalog.pg_advisory_xact_lock(499850505000 + $1)",
                  DB_ARGS(db_int(number)));
}
