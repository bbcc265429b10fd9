/* db_group: write transactions of many threads on one SQLite connection, several in one COMMIT.
 *
 * SQLite has one writer, and each COMMIT waits for the disk. A transaction waits for its turn
 * (DB_WAIT_MS; first come, first served), runs its statements, and is released (RELEASE of its own
 * savepoint). Then whoever waits takes the turn in the same group; when nobody does, or the group
 * is full, who was released last commits for all of them. While it waits for the disk, the next
 * ones queue up. No thread of its own, and no wait for others to come: a transaction by itself
 * begins and commits as it would without a group.
 *
 * What a member sees may be a neighbor's that is not committed yet. So whatever it decides holds
 * only if db_group_commit or db_group_end says so: both wait for the group's COMMIT. What acts
 * outside the database by what it reads, or may take long, is DB_ALONE. decisions/0027. */
#ifndef VERIFIER_DB_GROUP_H
#define VERIFIER_DB_GROUP_H

#include "verifier/db/db.h"

#include <semaphore.h>

struct db_group;
/* Where the connection comes from; it is given back when it is broken, and in the end. */
struct db_group_source {
    void *ctx;
    struct db *(*take)(void *ctx, struct error *err);
    void (*give)(void *ctx, struct db *db);
};
struct db_group *db_group_new(const struct db_group_source *source);
void db_group_free(struct db_group *group); /* NULL is fine; no turn may be taken */

enum db_sharing {
    DB_ALONE,    /* sees only what is committed; others join neither before nor behind it */
    DB_TOGETHER, /* with others of this kind */
};

/* One transaction. It stays where it is from begin to the end; only db is the caller's to read. */
struct db_member {
    struct db *db; /* while it has the turn; NULL: not begun, or ended */
    struct db_group *group;
    enum db_sharing sharing;
    bool has_savepoint;
    enum { DB_MEMBER_WAITS, DB_MEMBER_ON, DB_MEMBER_RELEASED, DB_MEMBER_SETTLED } state;
    sem_t woken;
    struct db_member *next;
    bool has_failed;
    struct error err; /* if it has */
};

/* DB_BUSY: it had no turn, or the database no lock, within DB_WAIT_MS. */
int db_group_begin(struct db_group *group, struct db_member *member, enum db_sharing sharing,
                   struct error *err);
/* These end it, also when they fail. No rows may be open. -1 with DB_UNKNOWN: the outcome is
 * unknown; with any other code: nothing of it was committed. */
int db_group_commit(struct db_member *member, struct error *err);
/* Nothing is written. 0: what it read is committed. */
int db_group_end(struct db_member *member, struct error *err);
/* Undone; for the others of the group it did not happen. Not begun: nothing. */
void db_group_rollback(struct db_member *member);

struct db_group_counts {
    int64_t commits, transactions; /* how many COMMITs, and of how many transactions */
    int64_t gaps;                  /* how often the lock was left free for other processes */
    int waiting;                   /* for a turn, at this moment */
};
struct db_group_counts db_group_counts(struct db_group *group);

#endif
