/* store_source: a job is given to a worker only where its source is there. For files of the store
 * only. */
#ifndef VERIFIER_STORE_SOURCE_H
#define VERIFIER_STORE_SOURCE_H

#include "verifier/store/store_private.h"

enum {
    STORE_SOURCE_WAIT_MS = 60 * 1000, /* before a source that cannot be read is tried again */
    STORE_SOURCES_MAX = 32,           /* jobs without a source that one claim passes over */
};

enum store_source {
    STORE_SOURCE_THERE,
    STORE_SOURCE_AWAY,  /* the directory: no job has a source */
    STORE_SOURCE_GONE,  /* for good: the job has failed */
    STORE_SOURCE_WAITS, /* the job waits, and its row says what for */
};
/* Of an unclaimed job that is locked. GONE and WAITS have changed it: commit, then announce. */
int store_check_source(struct store *store, struct db *db, const char *now, int64_t job_id,
                       enum store_source *source, char reason[STORE_REASON_BYTES],
                       struct error *err);
void store_announce_source(int64_t job_id, enum store_source source, const char *reason);

#endif
