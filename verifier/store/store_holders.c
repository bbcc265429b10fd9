/* Who has ever held a job: a worker whose claim went to another has lost it (row 6), one that never
 * had it is mistaken (row 11). */
#include "verifier/store/store_private.h"

#include <string.h>

int store_note_holder(struct db *db, int64_t job_id, const char *worker_id, struct error *err)
{
    return db_run(db, NULL, err,
                  "INSERT INTO job_holders (job_id, worker_id) VALUES ($1, $2)"
                  " ON CONFLICT (job_id, worker_id) DO NOTHING",
                  DB_ARGS(db_int(job_id), db_text(worker_id)));
}

/* A stock server notes only its last claim. Whoever was registered after that one began has held
 * none before it; of everybody else nothing is known, and a lost claim is what is likely. */
static bool may_have_held(const struct store_worker *worker, const struct store_job *job)
{
    return !job->started_at[0] || strcmp(worker->registered_at, job->started_at) <= 0;
}

int store_read_held(struct store *store, struct db *db, const struct store_worker *worker,
                    const struct store_job *job, bool *held, struct error *err)
{
    int64_t one;
    int got = db_one_int(db, &one, err,
                         "SELECT 1 FROM job_holders WHERE job_id = $1 AND worker_id = $2",
                         DB_ARGS(db_int(job->id), db_text(worker->worker_id)));
    *held = got == 1 || (store->settings.schema == STORE_SCHEMA_VLOG && may_have_held(worker, job));
    return got < 0 ? -1 : 0;
}
