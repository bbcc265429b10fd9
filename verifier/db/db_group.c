#include "verifier/db/db_group.h"

#include "base/clock.h"
#include "base/crash.h"
#include "verifier/base/deadline.h"
#include "verifier/db/db_driver.h"

#include <stdlib.h>
#include <time.h>

enum {
    MEMBERS_MAX = 64,
    JOIN_MS = 50,      /* so long after its BEGIN others may still join a group */
    AT_ONCE_MS = 1000, /* after a longer wait than this a broken connection is not replaced */
    /* Other processes can only look again and again whether the lock is free. After so long in
     * which it was never free for GAP_MS, it is left free for that time: they look more often. */
    HELD_MS = 200,
    GAP_MS = 4,
};

struct members {
    struct db_member *first, *last;
    int count;
};

struct db_group {
    struct db_group_source source;
    pthread_mutex_t lock;
    bool is_taken;           /* somebody has the turn */
    struct members queue;    /* who waits for it */
    struct members released; /* what the next COMMIT commits */
    struct db_group_counts counts;
    /* Of whoever has the turn. */
    struct db *writer; /* NULL: not connected */
    bool is_open;
    int64_t opened_ms, closed_ms, held_since_ms;
};

struct db_group *db_group_new(const struct db_group_source *source)
{
    struct db_group *group = must_calloc(1, sizeof *group);
    group->source = *source;
    must(pthread_mutex_init(&group->lock, NULL) == 0);
    return group;
}

static void give_writer_back(struct db_group *group)
{
    group->source.give(group->source.ctx, group->writer);
    group->writer = NULL;
}

void db_group_free(struct db_group *group)
{
    if (!group)
        return;
    must(!group->is_taken);
    if (group->writer)
        give_writer_back(group);
    pthread_mutex_destroy(&group->lock);
    free(group);
}

struct db_group_counts db_group_counts(struct db_group *group)
{
    pthread_mutex_lock(&group->lock);
    struct db_group_counts counts = group->counts;
    counts.waiting = group->queue.count;
    pthread_mutex_unlock(&group->lock);
    return counts;
}

/* ---- the two lists, under the lock ----------------------------------------------------------- */

static void append(struct members *members, struct db_member *member)
{
    member->next = NULL;
    *(members->last ? &members->last->next : &members->first) = member;
    members->last = member;
    members->count++;
}

static void take_out(struct members *members, const struct db_member *member)
{
    struct db_member *before = NULL;
    while ((before ? before->next : members->first) != member)
        before = before ? before->next : members->first;
    *(before ? &before->next : &members->first) = member->next;
    if (members->last == member)
        members->last = before;
    members->count--;
}

static void wake(struct db_member *member)
{
    must(sem_post(&member->woken) == 0);
}

/* Until it is woken or, if it is still in this list by then, the deadline has passed: then it is
 * taken out. */
static bool await(struct db_member *member, struct members *members, int64_t until_ms)
{
    struct db_group *group = member->group;
    if (deadline_down(&member->woken, until_ms))
        return true;
    pthread_mutex_lock(&group->lock);
    bool is_in = member->state == (members == &group->queue ? DB_MEMBER_WAITS : DB_MEMBER_RELEASED);
    if (is_in)
        take_out(members, member);
    pthread_mutex_unlock(&group->lock);
    return !is_in && deadline_down(&member->woken, INT64_MAX);
}

/* ---- the turn -------------------------------------------------------------------------------- */

static bool take_turn(struct db_member *member, int64_t until_ms)
{
    struct db_group *group = member->group;
    pthread_mutex_lock(&group->lock);
    bool waits = group->is_taken;
    member->state = waits ? DB_MEMBER_WAITS : DB_MEMBER_ON;
    if (waits)
        append(&group->queue, member);
    group->is_taken = true;
    pthread_mutex_unlock(&group->lock);
    return !waits || await(member, &group->queue, until_ms);
}

static void hand_over_locked(struct db_group *group)
{
    struct db_member *next = group->queue.first;
    group->is_taken = next != NULL;
    if (!next)
        return;
    take_out(&group->queue, next);
    next->state = DB_MEMBER_ON;
    wake(next);
}

/* The turn goes on within the group. */
static bool passes_on(struct db_group *group)
{
    pthread_mutex_lock(&group->lock);
    const struct db_member *next = group->queue.first;
    bool passes = group->is_open && group->released.count > 0 &&
                  group->released.count < MEMBERS_MAX && next && next->sharing == DB_TOGETHER &&
                  mono_ms() - group->opened_ms < JOIN_MS;
    if (passes)
        hand_over_locked(group);
    pthread_mutex_unlock(&group->lock);
    return passes;
}

static void settle(struct db_member *member, const struct error *error)
{
    while (member) {
        struct db_member *next = member->next; /* once it is woken, it is gone */
        member->has_failed = error != NULL;
        if (error)
            member->err = *error;
        wake(member);
        member = next;
    }
}

/* The group has ended: committed, or with an error. The next one goes on before all are told. */
static void end_group(struct db_group *group, const struct error *error)
{
    group->is_open = false;
    group->closed_ms = mono_ms();
    if (group->writer && db_is_broken(group->writer))
        give_writer_back(group);
    pthread_mutex_lock(&group->lock);
    struct members released = group->released;
    group->released = (struct members){0};
    for (struct db_member *member = released.first; member; member = member->next)
        member->state = DB_MEMBER_SETTLED;
    if (!error && released.count > 0) {
        group->counts.commits++;
        group->counts.transactions += released.count;
    }
    hand_over_locked(group);
    pthread_mutex_unlock(&group->lock);
    settle(released.first, error);
}

static void commit_all(struct db_group *group, enum db_sharing sharing)
{
    struct error err;
    if (sharing == DB_TOGETHER)
        crash_point(CRASH_VERIFIER_GROUP_RELEASED);
    int result = db_commit(group->writer, &err);
    if (sharing == DB_TOGETHER)
        crash_point(CRASH_VERIFIER_GROUP_COMMITTED);
    end_group(group, result == 0 ? NULL : &err);
}

/* ---- one transaction ------------------------------------------------------------------------- */

static void leave_gap(struct db_group *group)
{
    int64_t now_ms = mono_ms();
    if (now_ms - group->closed_ms > GAP_MS)
        group->held_since_ms = now_ms;
    if (now_ms - group->held_since_ms < HELD_MS)
        return;
    nanosleep(&(struct timespec){.tv_nsec = GAP_MS * 1000000L}, NULL);
    group->held_since_ms = mono_ms();
    pthread_mutex_lock(&group->lock);
    group->counts.gaps++;
    pthread_mutex_unlock(&group->lock);
}

static int open_group(struct db_group *group, int64_t until_ms, struct error *err)
{
    leave_gap(group);
    int64_t began_ms = mono_ms();
    for (bool is_first = true;; is_first = false) {
        if (!group->writer && !(group->writer = group->source.take(group->source.ctx, err)))
            return -1;
        if (db_sqlite_begin_until(group->writer, until_ms, err) == 0) {
            group->is_open = true;
            group->opened_ms = mono_ms();
            return 0;
        }
        if (!db_is_broken(group->writer))
            return -1;
        give_writer_back(group);
        if (!is_first || mono_ms() - began_ms >= AT_ONCE_MS)
            return -1;
    }
}

static int run(struct db_group *group, const char *sql, struct error *err)
{
    return db_run(group->writer, NULL, err, sql, DB_NO_ARGS);
}

static int lost(struct error *err)
{
    return error_set(err, ERROR_TEMPORARY, DB_LOST,
                     "the database has rolled back the transaction by itself");
}

/* The first one needs no savepoint: to undo it is to undo everything. */
static int enter(struct db_member *member, int64_t until_ms, struct error *err)
{
    struct db_group *group = member->group;
    member->has_savepoint = group->is_open;
    if (!group->is_open)
        return open_group(group, until_ms, err);
    return run(group, "SAVEPOINT member", err);
}

/* -1: the others' work is undone as well. */
static int undo(const struct db_member *member, struct error *err)
{
    struct db_group *group = member->group;
    if (!member->has_savepoint) {
        if (group->writer)
            db_rollback(group->writer);
        group->is_open = false;
        return 0;
    }
    if (db_sqlite_is_open(group->writer) && run(group, "ROLLBACK TO member", err) == 0 &&
        run(group, "RELEASE member", err) == 0)
        return 0;
    db_rollback(group->writer);
    return lost(err);
}

/* Nobody of the group is left to commit it but who has the turn. */
static void end_turn(struct db_group *group, enum db_sharing sharing)
{
    if (sharing == DB_TOGETHER && passes_on(group))
        return;
    if (group->is_open)
        commit_all(group, sharing);
    else
        end_group(group, NULL);
}

int db_group_begin(struct db_group *group, struct db_member *member, enum db_sharing sharing,
                   struct error *err)
{
    int64_t until_ms = mono_ms() + DB_WAIT_MS;
    *member = (struct db_member){.group = group, .sharing = sharing};
    must(sem_init(&member->woken, 0, 0) == 0);
    if (!take_turn(member, until_ms))
        return error_set(err, ERROR_TEMPORARY, DB_BUSY, "no turn to write within %d ms",
                         DB_WAIT_MS);
    if (enter(member, until_ms, err) == 0) {
        member->db = group->writer;
        return 0;
    }
    struct error ignored;
    if (undo(member, &ignored) == 0)
        end_turn(group, sharing);
    else
        end_group(group, &ignored);
    return -1;
}

/* Everything it did is done; only the COMMIT is missing. */
static int await_commit(struct db_member *member, struct error *err)
{
    struct db_group *group = member->group;
    pthread_mutex_lock(&group->lock);
    member->state = DB_MEMBER_RELEASED;
    append(&group->released, member);
    pthread_mutex_unlock(&group->lock);
    end_turn(group, member->sharing);
    if (!await(member, &group->released, mono_ms() + DB_WAIT_MS))
        return error_set(err, ERROR_TEMPORARY, DB_UNKNOWN,
                         "the group was not committed within %d ms", DB_WAIT_MS);
    if (!member->has_failed)
        return 0;
    *err = member->err;
    return -1;
}

int db_group_commit(struct db_member *member, struct error *err)
{
    struct db_group *group = member->group;
    struct db *db = member->db;
    must(db_sqlite_is_idle(db));
    member->db = NULL;
    if (!db_sqlite_is_open(db) ||
        (member->has_savepoint && run(group, "RELEASE member", err) != 0)) {
        db_rollback(db);
        lost(err);
        end_group(group, err);
        return -1;
    }
    return await_commit(member, err);
}

int db_group_end(struct db_member *member, struct error *err)
{
    if (!member->has_savepoint) { /* nobody was before it */
        db_group_rollback(member);
        return 0;
    }
    must(db_sqlite_is_idle(member->db));
    member->db = NULL;
    if (undo(member, err) == 0)
        return await_commit(member, err);
    end_group(member->group, err);
    return -1;
}

void db_group_rollback(struct db_member *member)
{
    struct error err;
    if (!member->db)
        return;
    must(db_sqlite_is_idle(member->db));
    member->db = NULL;
    if (undo(member, &err) == 0)
        end_turn(member->group, member->sharing);
    else
        end_group(member->group, &err);
}
