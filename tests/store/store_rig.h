/* store_rig: a store on a database of one test, with files that are what the test says.
 *
 * Which kind of database says TAILSLATE_TEST_STORE: sqlite (also without it), postgresql, pgbouncer
 * (PostgreSQL through a pooler in transaction mode), or vlog, which is PostgreSQL with a stock
 * server's tables (support/vlog_tables.sql). Each test in this directory runs against every kind,
 * so its SQL is portable: CASE WHEN for a Boolean. */
#ifndef STORE_RIG_H
#define STORE_RIG_H

#include "store_gate.h"
#include "verifier/store/store_fail.h"
#include "verifier/store/store_operator.h"

enum { RIG_CLAIM_MS = 60 * 1000 };

struct rig {
    char dir[64], *url, *path; /* path: SQLite's file, else NULL */
    char *direct;              /* past the pooler; NULL: there is none */
    struct pg_conn *beside;    /* PostgreSQL: by which the test itself asks */
    enum store_schema schema;
    struct store *store;
    struct store_gate gate; /* of rig_complete */
    struct store_worker anna, bert;
    int64_t job; /* of rig_new_claimed */
    /* The files, as the store's callbacks see them. */
    tailslate_quality_set missing, discarded;
    void (*at_the_files)(struct rig *rig); /* called while a completion checks them, or NULL */
    int discards, removed;
    bool has_no_source;
    int source_code;       /* errno: why a source cannot be read; 0: it can */
    int64_t source_of;     /* of this video alone; 0: of each */
    const char *directory; /* that is there although no video has this slug; NULL: none */
    /* Of every store that is opened from now on. */
    int64_t claim_ms, offline_ms, grace_ms, retry_delay_ms;
    bool monitored;
    unsigned events;          /* STORE_EVENT_* */
    _Atomic int64_t ahead_ms; /* added to the clock of all of them */
};

struct rig *rig_new(void);
struct rig *rig_new_with(int64_t claim_ms, int64_t offline_ms);
struct rig *rig_new_delayed(int64_t retry_delay_ms);
struct rig *rig_new_telling(unsigned events); /* a webhook is configured for them */
struct rig *rig_new_claimed(void);            /* one video, claimed by anna: its first claim */
struct rig *rig_new_bare(void); /* no store, no workers, no tables but a stock server's */
void rig_free(struct rig *rig);
/* Another store with the rig's settings; NULL with *err filled. */
struct store *rig_open(struct rig *rig, const char *url, struct error *err);

struct store_worker rig_add_worker(struct rig *rig, const char *name);
int64_t rig_add_job(struct rig *rig, const char *slug);
/* Claims (any job if 0) and gives the claim; job_id 0 in it: there was none. */
struct message_claim rig_claim(struct rig *rig, const struct store_worker *worker, int64_t job_id);
struct store_caller rig_caller(const struct store_worker *worker, int64_t epoch);

/* A completion of 720p; the last digits of the token are `token`; 0: no token. */
struct tailslate_completion rig_completion(int64_t job_id, int token);
struct tailslate_result rig_complete(struct rig *rig, struct store_caller caller, int64_t job_id,
                                     const struct tailslate_completion *completion);
/* The same with rig_completion(job_id, token), and its verdict. */
enum tailslate_verdict rig_present(struct rig *rig, struct store_caller caller, int64_t job_id,
                                   int token);
struct store_failed rig_fail(struct rig *rig, struct store_caller caller, int64_t job_id,
                             bool retry);
struct message_progress rig_half_way(void);
enum tailslate_standing rig_progress(struct rig *rig, struct store_caller caller, int64_t job_id);
enum store_release rig_release(struct rig *rig, int64_t job_id);
/* job_id 0: the heartbeat names none. */
void rig_beat(struct rig *rig, struct store_worker *worker, enum worker_status status,
              bool jobs_known, int64_t job_id);
int rig_publish(void *count, struct error *err); /* for store_upload: counts in an int */

/* Around the store: its database by another connection. */
void rig_sql(struct rig *rig, const char *sql);
int64_t rig_number(struct rig *rig, const char *sql);
char *rig_text(struct rig *rig, const char *sql); /* owned */
void rig_expect(struct rig *rig, const char *wanted, const char *sql);
/* A writing transaction of another connection that has run this and does not end until it is let
 * go. */
void *rig_hold(struct rig *rig, const char *sql);
void rig_let_go(struct rig *rig, void *holder); /* rolled back */
void rig_commit(struct rig *rig, void *holder);
/* Until somebody waits for a row of this database; on SQLite, which does not tell, not at all. */
void rig_await_waiter(struct rig *rig);

#endif
