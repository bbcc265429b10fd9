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
    STORE_REASON_BYTES = 256,
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
    /* Is there a directory of this name, be it of a video that was deleted? NULL: never. */
    bool (*directory_exists)(void *ctx, const char *slug);
    /* Move the source and all output of this video to the trash; not there: nothing. */
    int (*remove)(void *ctx, int64_t video_id, const char *slug, struct error *err);
    /* Can the source of this video be read? -1 with ENOENT: it is gone for good; ESTALE: the
     * directory is away; else: not now. NULL: always. */
    int (*find_source)(void *ctx, int64_t video_id, struct error *err);
};

/* Which events are written for a webhook (store_event.h). */
enum { STORE_EVENT_READY = 1, STORE_EVENT_FAILED = 2 };

enum store_schema { STORE_SCHEMA_OWN, STORE_SCHEMA_VLOG };

struct store_settings {
    const char *url;
    const char *password_file; /* "" or NULL = none; read at every connect: it may be rotated */
    enum store_schema schema;
    /* The store opens even if the database cannot be reached: until it can, every call fails
     * TEMPORARY. */
    bool may_come_later;
    bool reads; /* only: no write access is needed, and nothing is made or migrated */
    _Atomic int64_t claim_ms, offline_ms;
    /* A worker that reports another code_version gets no job; "" or NULL: any version. */
    const char *required_version;
    _Atomic int64_t grace_ms; /* after an outage nothing is released for so long */
    /* How long the worker that failed waits before its second attempt; 0: not at all. */
    _Atomic int64_t retry_delay_ms;
    _Atomic unsigned events; /* bits of STORE_EVENT_*; 0: no webhook is configured */
    bool monitored;          /* a sweeper keeps the fleet's row (store_sweep.h) */
    struct store_files files;
    /* For tests, which let hours pass: added to the database's clock. NULL = nothing. */
    const _Atomic int64_t *ahead_ms;
};

struct store;
/* Opens, creates or checks the schema. A schema newer than this program's is refused. */
struct store *store_open(const struct store_settings *settings, struct error *err);
void store_close(struct store *store); /* no call may be running */
/* Takes over the times, the events and the required version, also while calls run. */
void store_reconfigure(struct store *store, const struct store_settings *settings);
int store_ping(struct store *store, struct error *err);
/* Where store_open has refused a stock server's tables (err->code DB_NO_SCHEMA): the statements
 * that make its columns as they should be, one a line, for the owner of the tables. None: nothing.
 */
void store_print_remedies(const struct store_settings *settings, FILE *out);

#endif
