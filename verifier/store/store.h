/* store: what the verifier knows, and the only place that changes it.
 *
 * Domain operations over db.h. Each is one transaction (or one read), each carries all its guards
 * in the WHERE of its UPDATE, and each that changes something has committed when it returns 0:
 * nothing is acknowledged that is not on disk. Operations are called by any thread; connections
 * come from a bounded pool. -1 means the database could not be used (err TEMPORARY: 503) or a bug;
 * what the database *says* is a verdict, not an error.
 *
 * Knows no HTTP. Accesses files only through store_files, under the job's lock. */
#ifndef VERIFIER_STORE_H
#define VERIFIER_STORE_H

#include "base/message.h"

#include "tailslate/ledger.h"
#include "tailslate/verify.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
    STORE_CONNECTIONS_MAX = 8,
    STORE_LIST_MAX = 1000, /* rows of a list */
    STORE_NAME_BYTES = 101,
    STORE_TITLE_BYTES = 256,
};

/* The file operations that a transaction needs. */
struct store_files {
    void *ctx;
    /* Which of the named renditions are not there, whole. */
    int (*missing)(void *ctx, const char *slug, tailslate_quality_set named,
                   tailslate_quality_set *missing, struct error *err);
    /* Move these renditions' files to the trash; not there: nothing. */
    int (*discard)(void *ctx, const char *slug, tailslate_quality_set discarded, struct error *err);
    /* The source's file name of this video; "" if it has none. */
    void (*source_name)(void *ctx, int64_t video_id, char name[FILENAME_BYTES]);
};

enum store_schema { STORE_SCHEMA_OWN, STORE_SCHEMA_VLOG };

struct store_settings {
    const char *url;
    const char *password_file; /* "" or NULL = none; read at every connect: it may be rotated */
    enum store_schema schema;
    /* A database that cannot be reached now does not keep the store from being opened: until it is
     * there, every call fails TEMPORARY. */
    bool may_come_later;
    int64_t claim_ms, offline_ms;
    /* A worker whose heartbeat said another code_version gets no job; "" or NULL: any will do. */
    const char *required_version;
    int64_t grace_ms; /* after an outage nothing is released for so long */
    bool monitored;   /* a sweeper keeps the fleet's row (store_sweep.h) */
    struct store_files files;
    /* A test's way through hours: added to the database's clock. NULL = nothing. */
    const _Atomic int64_t *ahead_ms;
};

struct store;
/* Opens, creates or checks the schema. A schema newer than ours is refused. */
struct store *store_open(const struct store_settings *settings, struct error *err);
void store_close(struct store *store); /* nobody may be inside */
int store_ping(struct store *store, struct error *err);
/* Where store_open has refused a stock server's tables (err->code DB_NO_SCHEMA): the statements
 * that make its columns as they should be, one a line, for the owner of the tables. None: nothing.
 */
void store_print_remedies(const struct store_settings *settings, FILE *out);

/* ---- workers ---- */
struct store_worker {
    int64_t id;
    char worker_id[WORKER_ID_BYTES], name[STORE_NAME_BYTES];
    char type[16], status[16]; /* `offline` where it is silent past the threshold */
    char registered_at[WALL_TEXT_BYTES], last_heartbeat[WALL_TEXT_BYTES];
    int64_t current_job_id; /* 0 = none */
    char *capabilities;     /* JSON or NULL; owned, only in lists */
    int64_t key_id;         /* of the key that it was found by; 0: by none */
};
enum store_key {
    STORE_KEY_UNKNOWN,
    STORE_KEY_GOOD,
    STORE_KEY_DISABLED, /* its worker is disabled */
    STORE_KEY_OVER,     /* it was revoked, or has expired */
};

/* api_key: shown once, only its hash is kept. */
struct store_registration {
    const char *name, *type, *capabilities, *metadata; /* NULL = absent */
    int64_t id;                                        /* out */
    char worker_id[WORKER_ID_BYTES];                   /* out */
    char api_key[64];                                  /* out */
};
int store_worker_register(struct store *store, struct store_registration *registration,
                          struct error *err);
int store_worker_by_key(struct store *store, const char *api_key, enum store_key *found,
                        struct store_worker *worker, struct error *err);
/* The same without argon2id's cost: a stock server's key counts only where it was right within the
 * last minute, else it is unknown. */
int store_worker_by_known_key(struct store *store, const char *api_key, enum store_key *found,
                              struct store_worker *worker, struct error *err);
int store_worker_list(struct store *store, struct store_worker **workers, size_t *count,
                      struct error *err);
struct json *store_worker_json(const struct store_worker *worker); /* owned; no capabilities */
/* How many there are in each state, also beyond what a list holds. */
enum { STORE_WORKER_STATES_MAX = 8 };
struct store_worker_state {
    char status[16];
    int64_t count;
};
int store_worker_count(struct store *store,
                       struct store_worker_state states[STORE_WORKER_STATES_MAX], size_t *count,
                       struct error *err);
void store_workers_free(struct store_worker *workers, size_t count);
/* worker: its worker_id, or its number. *found false: no such worker. */
int store_worker_revoke(struct store *store, const char *worker, bool *found, struct error *err);
/* A new key for a worker, which stays who it is; its other keys end after overlap_ms, if they do
 * not end before. */
enum store_rotated {
    STORE_ROTATED,
    STORE_ROTATE_NO_WORKER,
    STORE_ROTATE_SEVERAL, /* have this name */
    STORE_ROTATE_DISABLED,
};
struct store_rotation {
    const char *worker; /* its number, its worker_id or its name */
    int64_t overlap_ms;
    enum store_rotated result; /* out, as all that follows */
    int64_t id;
    char worker_id[WORKER_ID_BYTES], name[STORE_NAME_BYTES];
    char api_key[64];
    char old_until[WALL_TEXT_BYTES];
};
int store_worker_rotate(struct store *store, struct store_rotation *rotation, struct error *err);
/* Is this code_version (""; none was said) the required one? */
bool store_version_fits(const struct store *store, const char *code_version);
/* "": any. */
const char *store_required_version(const struct store *store);
int store_heartbeat(struct store *store, struct store_worker *worker,
                    const struct message_heartbeat *heartbeat, struct error *err);

/* ---- calls about a job ---- */
struct store_caller {
    const struct store_worker *worker;
    int64_t claim_epoch; /* TAILSLATE_ABSENT_INT: not given */
};

/* job_id 0: any job. Sets claim->job_id to 0 if there is no job. */
int store_claim(struct store *store, const struct store_worker *worker, int64_t job_id,
                struct message_claim *claim, struct error *err);

/* What the database says now, without a lock: a verdict that does not commit is the answer, one
 * that does (COMMIT, COMMIT_LATE) is worth a transaction: store_complete judges again in it. The
 * look does not see the files. complete.c puts the two together. */
int store_complete_read(struct store *store, const struct store_caller *caller, int64_t job_id,
                        const struct tailslate_completion *completion,
                        struct tailslate_result *result, struct error *err);
int store_complete(struct store *store, const struct store_caller *caller, int64_t job_id,
                   const struct tailslate_completion *completion, struct tailslate_result *result,
                   struct error *err);

struct store_failed {
    enum tailslate_standing standing;
    bool will_retry, replayed;
    int64_t attempt_number;
};
int store_fail(struct store *store, const struct store_caller *caller, int64_t job_id,
               const struct message_failure *failure, struct store_failed *result,
               struct error *err);

/* expires: the extended claim's end; "" where the job is completed (nothing is changed then). */
int store_progress(struct store *store, const struct store_caller *caller, int64_t job_id,
                   const struct message_progress *progress, enum tailslate_standing *standing,
                   char expires[WALL_TEXT_BYTES], struct error *err);

/* Where the caller stands, and what the job is; changes nothing. */
struct store_job {
    int64_t id, video_id, claim_epoch, attempt_number, max_attempts;
    char slug[SLUG_BYTES], title[STORE_TITLE_BYTES];
    char video_status[16], current_step[32];
    bool deleted;
    int64_t progress_percent;
    char holder[WORKER_ID_BYTES];      /* of the claim that stands; "" = unclaimed */
    char last_holder[WORKER_ID_BYTES]; /* "" = never claimed */
    char last_holder_name[STORE_NAME_BYTES];
    char claimed_at[WALL_TEXT_BYTES], claim_expires_at[WALL_TEXT_BYTES];
    char started_at[WALL_TEXT_BYTES]; /* "" = never, or re-opened since */
    char completed_at[WALL_TEXT_BYTES], created_at[WALL_TEXT_BYTES];
    char last_error[REASON_BYTES];
    char format[8], codec[8];
    double duration;
    int64_t source_width, source_height;
    bool reopened; /* open, was claimed, and not since it was opened */
    bool requeued; /* closed, but by no completion: a failed video that is to be tried again */
};
int store_caller_standing(struct store *store, const struct store_caller *caller, int64_t job_id,
                          enum tailslate_standing *standing, struct store_job *job,
                          struct error *err);
int store_job_of_video(struct store *store, int64_t video_id, int64_t *job_id, struct error *err);
int store_recorded_qualities(struct store *store, int64_t video_id, tailslate_quality_set *recorded,
                             struct error *err);

/* An upload: classify, extend the claim, then publish(ctx) inside the transaction (it renames),
 * then commit; so that no file of a superseded holder appears after the claim went. */
typedef int store_publish(void *ctx, struct error *err);
int store_upload(struct store *store, const struct store_caller *caller, int64_t job_id,
                 store_publish *publish, void *ctx, enum tailslate_standing *standing,
                 struct error *err);

/* ---- for operators ---- */
struct store_new_job {
    const char *slug;  /* NULL: from the title, with a number behind it where it is taken */
    const char *title; /* NULL: base */
    const char *base;  /* the source's name without directory and extension */
    /* Put the source in its place, inside the transaction. */
    int (*place)(void *ctx, int64_t video_id, struct error *err);
    void *ctx;
    int64_t job_id, video_id;     /* out */
    char chosen_slug[SLUG_BYTES]; /* out */
};
/* Not into a stock server's tables: -1, with a sentence for the operator. */
int store_job_may_be_added(const struct store *store, struct error *err);
/* err->code DB_CONFLICT: the slug that was asked for is taken. */
int store_job_add(struct store *store, struct store_new_job *job, struct error *err);
int store_job_list(struct store *store, struct store_job **jobs, size_t *count, struct error *err);
enum store_release {
    STORE_RELEASED,
    STORE_RELEASE_NO_JOB,
    STORE_RELEASE_COMPLETED,
    STORE_RELEASE_UNCLAIMED
};
int store_job_release(struct store *store, int64_t job_id, enum store_release *result,
                      struct error *err);

struct store_rendition {
    enum tailslate_quality quality;
    int64_t width, height, bitrate;
};
struct store_details {
    bool found;
    struct store_job job;
    struct store_rendition renditions[TAILSLATE_QUALITY_COUNT];
    size_t rendition_count;
    struct message_quality_progress progress[TAILSLATE_QUALITY_COUNT];
    size_t progress_count;
    bool completed; /* a completions row: */
    char token[TAILSLATE_TOKEN_BYTES], worker_id[WORKER_ID_BYTES], committed_at[WALL_TEXT_BYTES];
    int64_t claim_epoch, replays;
    bool late;
    struct tailslate_warnings warnings;
};
int store_job_details(struct store *store, int64_t job_id, struct store_details *details,
                      struct error *err);

/* How many jobs wait, run, are done, have failed. */
struct store_counts {
    int64_t pending, processing, completed, failed;
};
int store_count(struct store *store, struct store_counts *counts, struct error *err);

#endif
