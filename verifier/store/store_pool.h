/* store_pool: connections to the database, and the transactions on them. For files of the store
 * only. */
#ifndef VERIFIER_STORE_POOL_H
#define VERIFIER_STORE_POOL_H

#include "lib/cleanup.h"
#include "verifier/db/db_group.h"
#include "verifier/store/store.h"

#include <pthread.h>
#include <stdatomic.h>

enum { STORE_COMPLETED_LATELY = 1024 }; /* jobs, about */

struct store {
    struct store_settings settings;
    char *url, *password_file;
    char required_version[CODE_VERSION_BYTES]; /* under the lock */
    struct keys *keys;
    struct key_memory *key_memory;
    int64_t up_since_us; /* of the first connection, by the database's clock */
    pthread_mutex_t lock;
    pthread_cond_t returned;
    struct db *idle[STORE_CONNECTIONS_MAX];
    int idle_count, open_count;
    /* While the database cannot be reached, one caller at a time tries; the others are told at once
     * what the last try said. */
    bool is_down, is_trying;
    int64_t tried_at_ms;
    struct error last_error;
    atomic_bool has_schema;                                   /* made or checked */
    _Atomic int64_t completed_lately[STORE_COMPLETED_LATELY]; /* store_complete.c */
    struct db_group *group; /* of the writing transactions; NULL: each has its own connection */
};

void store_pool_init(struct store *store);
void store_pool_fini(struct store *store); /* all connections were returned */
/* A connection of the pool. store_give returns it; a broken one is closed. */
struct db *store_take(struct store *store, struct error *err);
void store_give(struct store *store, struct db *db);

/* A transaction on a connection of the pool. Whatever is not committed is rolled back at the end of
 * the scope:
 *      TRANSACTION(tx);
 *      if (store_begin(store, &tx, err) != 0 || write_something(tx.db, err) != 0)
 *          return -1;
 *      return store_commit(&tx, err); */
struct store_transaction {
    struct store *store;
    struct db *db;           /* NULL: not open */
    struct db_member member; /* of the store's group, if it has one and this one writes */
};
#define TRANSACTION(name) CLEANUP(store_rollback) struct store_transaction name = {0}
int store_begin(struct store *store, struct store_transaction *tx, struct error *err);
/* The same, and these steps at once (db_batch). */
int store_begin_with(struct store *store, struct db_step *steps, size_t count,
                     struct store_transaction *tx, struct error *err);
/* The same, perhaps in one COMMIT with others that began so
 * (db_group.h). What it reads may not be committed yet: what it decides is true only once
 * store_commit or store_end has returned 0. Not for what changes files, or may take long. */
int store_begin_together(struct store *store, struct db_step *steps, size_t count,
                         struct store_transaction *tx, struct error *err);
/* For reads, in one snapshot: a job row from before a commit and a completions row from after it
 * would make a verdict that was never true. */
int store_begin_reading(struct store *store, struct store_transaction *tx, struct error *err);
/* These steps in one snapshot, at once, and no transaction. They may run twice. */
int store_read(struct store *store, struct db_step *steps, size_t count, struct error *err);
/* Ends the transaction and returns its connection, also when it fails. -1 with DB_UNKNOWN: the
 * outcome is unknown; with any other code: nothing was committed. */
int store_commit(struct store_transaction *tx, struct error *err);
/* The same after these steps, at once: if one of them fails, nothing was committed. */
int store_commit_with(struct store_transaction *tx, struct db_step *steps, size_t count,
                      struct error *err);
/* Ends a transaction that has written nothing. 0: what it read is committed. */
int store_end(struct store_transaction *tx, struct error *err);
void store_rollback(struct store_transaction *tx); /* not open: nothing */

#endif
