/* The pool of connections. A restart of the database fails no request: a connection that turns out
 * to be broken when a transaction begins is replaced, once. While the database is down, one caller
 * at a time tries to connect and all others fail at once, so that neither threads nor connections
 * pile up. */
#include "verifier/store/store_pool.h"

#include "base/clock.h"
#include "base/log.h"
#include "verifier/base/deadline.h"
#include "verifier/store/store_private.h"
#include "verifier/store/store_schema.h"

enum {
    DOWN_PAUSE_MS = 250, /* between two attempts to connect while the database is down */
    AT_ONCE_MS = 1000,   /* after a longer wait than this there is no second attempt */
};

static struct db *take_writer(void *store, struct error *err)
{
    return store_take(store, err);
}

static void give_writer(void *store, struct db *db)
{
    store_give(store, db);
}

void store_pool_init(struct store *store)
{
    if (db_has_one_writer(store->url) && !store->settings.reads)
        store->group = db_group_new(&(struct db_group_source){store, take_writer, give_writer});
    must(pthread_cond_init(&store->returned, NULL) == 0);
    must(pthread_mutex_init(&store->lock, NULL) == 0);
}

static void close_all(struct db *const connections[], int count)
{
    for (int i = 0; i < count; i++)
        db_close(connections[i]);
}

void store_pool_fini(struct store *store)
{
    db_group_free(store->group);
    must(store->idle_count == store->open_count);
    close_all(store->idle, store->idle_count);
    pthread_cond_destroy(&store->returned);
    pthread_mutex_destroy(&store->lock);
}

enum acquired { ACQUIRED_IDLE, ACQUIRED_TO_OPEN, ACQUIRED_DOWN, ACQUIRED_NONE };

static enum acquired acquire_locked(struct store *store, struct db **db, struct error *err)
{
    if (store->idle_count > 0) {
        *db = store->idle[--store->idle_count];
        return ACQUIRED_IDLE;
    }
    if (store->open_count == STORE_CONNECTIONS_MAX)
        return ACQUIRED_NONE;
    if (store->is_down && (store->is_trying || mono_ms() - store->tried_at_ms < DOWN_PAUSE_MS)) {
        *err = store->last_error;
        return ACQUIRED_DOWN;
    }
    store->is_trying = store->is_down;
    store->open_count++;
    return ACQUIRED_TO_OPEN;
}

static enum acquired acquire(struct store *store, struct db **db, struct error *err)
{
    int64_t until_ms = mono_ms() + DB_WAIT_MS;
    pthread_mutex_lock(&store->lock);
    while (store->idle_count == 0 && store->open_count == STORE_CONNECTIONS_MAX &&
           deadline_wait(&store->returned, &store->lock, until_ms))
        ;
    enum acquired result = acquire_locked(store, db, err);
    pthread_mutex_unlock(&store->lock);
    return result;
}

static int check_clock(struct store *store, struct db *db, struct error *err)
{
    char now[WALL_TEXT_BYTES];
    if (store_now(store, db, now, err) != 0)
        return -1;
    must(wall_parse(now, &store->up_since_us));
    return 0;
}

/* The first connection checks the tables and the clock; that may be long after the start. */
static struct db *open_connection(struct store *store, struct error *err)
{
    bool reads = store->settings.reads;
    struct db *db = (reads ? db_open_reading : db_open)(store->url, store->settings.password_file,
                                                        err);
    if (!db || atomic_load(&store->has_schema))
        return db;
    if ((reads ? store_schema_check(db, err)
               : store_schema_prepare(db, store->settings.schema, err)) != 0 ||
        check_clock(store, db, err) != 0) {
        db_close(db);
        return NULL;
    }
    atomic_store(&store->has_schema, true);
    return db;
}

/* error NULL: connected. */
static void note_try(struct store *store, const struct error *error)
{
    pthread_mutex_lock(&store->lock);
    bool was_down = store->is_down;
    store->is_down = error != NULL;
    store->is_trying = false;
    store->tried_at_ms = mono_ms();
    if (error) {
        store->last_error = *error;
        store->open_count--;
        pthread_cond_signal(&store->returned);
    }
    pthread_mutex_unlock(&store->lock);
    /* Not in a command, which ends with the error. */
    if (!store->settings.may_come_later || was_down == (error != NULL))
        return;
    if (error)
        log_warning("store.down", LOG_TEXT("error", error->message));
    else
        log_info("store.up");
}

struct db *store_take(struct store *store, struct error *err)
{
    struct db *db = NULL;
    switch (acquire(store, &db, err)) {
    case ACQUIRED_IDLE:
        return db;
    case ACQUIRED_DOWN:
        return NULL;
    case ACQUIRED_NONE:
        error_set(err, ERROR_TEMPORARY, DB_NO_CONNECTION,
                  "no database connection was free within %d ms", DB_WAIT_MS);
        return NULL;
    case ACQUIRED_TO_OPEN:
        break;
    }
    db = open_connection(store, err);
    note_try(store, db ? NULL : err);
    return db;
}

/* If one connection is broken, the idle ones are too: the server was restarted, or is gone. */
static void drop(struct store *store, struct db *db)
{
    struct db *dropped[STORE_CONNECTIONS_MAX];
    pthread_mutex_lock(&store->lock);
    int count = store->idle_count;
    for (int i = 0; i < count; i++)
        dropped[i] = store->idle[i];
    store->idle_count = 0;
    store->open_count -= count + 1;
    pthread_cond_broadcast(&store->returned);
    pthread_mutex_unlock(&store->lock);
    db_close(db);
    close_all(dropped, count);
}

void store_give(struct store *store, struct db *db)
{
    if (db_is_broken(db)) {
        drop(store, db);
        return;
    }
    pthread_mutex_lock(&store->lock);
    store->idle[store->idle_count++] = db;
    pthread_cond_signal(&store->returned);
    pthread_mutex_unlock(&store->lock);
}

typedef int begin_function(struct db *db, struct db_step *steps, size_t count, struct error *err);

static int begin(struct store *store, begin_function *begin_on, struct db_step *steps, size_t count,
                 struct store_transaction *tx, struct error *err)
{
    must(!tx->db);
    for (bool is_first = true;; is_first = false) {
        struct db *db = store_take(store, err);
        if (!db)
            return -1;
        int64_t began_ms = mono_ms();
        if (begin_on(db, steps, count, err) == 0) {
            *tx = (struct store_transaction){.store = store, .db = db};
            return 0;
        }
        db_rollback(db);
        bool at_once = mono_ms() - began_ms < AT_ONCE_MS;
        store_give(store, db);
        if (err->code != DB_BROKEN || !is_first || !at_once)
            return -1;
    }
}

static int write_alone(struct db *db, struct db_step *steps, size_t count, struct error *err)
{
    return db_batch(db, DB_BEGIN, steps, count, err);
}

static int begin_reading(struct db *db, struct db_step *steps, size_t count, struct error *err)
{
    (void)steps, (void)count;
    return db_begin_reading(db, err);
}

static int read_only(struct db *db, struct db_step *steps, size_t count, struct error *err)
{
    return db_batch(db, DB_READ, steps, count, err);
}

static int begin_writing(struct store *store, enum db_sharing sharing, struct db_step *steps,
                         size_t count, struct store_transaction *tx, struct error *err)
{
    if (!store->group)
        return begin(store, write_alone, steps, count, tx, err);
    must(!tx->db);
    tx->store = store;
    if (db_group_begin(store->group, &tx->member, sharing, err) != 0)
        return -1;
    tx->db = tx->member.db;
    if (db_batch(tx->db, DB_PLAIN, steps, count, err) == 0)
        return 0;
    store_rollback(tx);
    return -1;
}

int store_begin(struct store *store, struct store_transaction *tx, struct error *err)
{
    return begin_writing(store, DB_ALONE, NULL, 0, tx, err);
}

int store_begin_with(struct store *store, struct db_step *steps, size_t count,
                     struct store_transaction *tx, struct error *err)
{
    return begin_writing(store, DB_ALONE, steps, count, tx, err);
}

int store_begin_together(struct store *store, struct db_step *steps, size_t count,
                         struct store_transaction *tx, struct error *err)
{
    return begin_writing(store, DB_TOGETHER, steps, count, tx, err);
}

int store_begin_reading(struct store *store, struct store_transaction *tx, struct error *err)
{
    return begin(store, begin_reading, NULL, 0, tx, err);
}

int store_read(struct store *store, struct db_step *steps, size_t count, struct error *err)
{
    TRANSACTION(none);
    return begin(store, read_only, steps, count, &none, err);
}

static int commit_member(struct store_transaction *tx, struct db_step *steps, size_t count,
                         struct error *err)
{
    if (db_batch(tx->db, DB_PLAIN, steps, count, err) != 0) {
        store_rollback(tx);
        return -1;
    }
    tx->db = NULL;
    return db_group_commit(&tx->member, err);
}

int store_commit_with(struct store_transaction *tx, struct db_step *steps, size_t count,
                      struct error *err)
{
    if (tx->member.db)
        return commit_member(tx, steps, count, err);
    int result = db_batch(tx->db, DB_COMMIT, steps, count, err);
    store_rollback(tx); /* after a commit only the connection is left to return */
    return result;
}

int store_commit(struct store_transaction *tx, struct error *err)
{
    return store_commit_with(tx, NULL, 0, err);
}

int store_end(struct store_transaction *tx, struct error *err)
{
    if (tx->member.db) {
        tx->db = NULL;
        return db_group_end(&tx->member, err);
    }
    store_rollback(tx);
    return 0;
}

void store_rollback(struct store_transaction *tx)
{
    if (!tx->db)
        return;
    if (tx->member.db) {
        db_group_rollback(&tx->member);
    } else {
        db_rollback(tx->db);
        store_give(tx->store, tx->db);
    }
    tx->db = NULL;
}
