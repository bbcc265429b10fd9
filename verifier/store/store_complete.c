/* The completion in SQL: what ledger.h asks of a server, over the store's tables. */
#include "verifier/store/store_complete.h"

#include "base/crash.h"
#include "lib/cleanup.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/message_fields.h"
#include "verifier/store/store_private.h"

#include "tailslate/ledger.h"

#include <string.h>

/* One completion, from its first statement to its last. */
struct sql_ledger {
    struct store *store;
    const struct store_caller *caller;
    struct store_transaction tx;
    struct error err;     /* the last one; code 0: none in this transaction */
    struct error unknown; /* of a commit whose outcome is not known; code 0: there was none */
    bool is_void;         /* what was read was not committed, and `void_because` */
    struct error void_because;
    struct store_job job;
    char now[WALL_TEXT_BYTES];
};

bool store_response_late(const char *response)
{
    struct tailslate_acknowledgment answer;
    return response &&
           tailslate_acknowledgment_parse(response, strlen(response), &answer, NULL) ==
               TAILSLATE_PROBLEM_NONE &&
           answer.late;
}

static int sql_begin(void *ctx, enum tailslate_access access)
{
    struct sql_ledger *ledger = ctx;
    ledger->err.code = 0;
    return access == TAILSLATE_WRITE
               ? store_begin_together(ledger->store, NULL, 0, &ledger->tx, &ledger->err)
               : store_begin_reading(ledger->store, &ledger->tx, &ledger->err);
}

/* Nothing is written: the verdict stands if what it was read from is committed. */
static void sql_rollback(void *ctx)
{
    struct sql_ledger *ledger = ctx;
    ledger->is_void = store_end(&ledger->tx, &ledger->void_because) != 0;
}

static enum tailslate_outcome sql_commit(void *ctx)
{
    struct sql_ledger *ledger = ctx;
    crash_point(CRASH_VERIFIER_IN_TRANSACTION);
    if (store_commit(&ledger->tx, &ledger->err) == 0)
        return TAILSLATE_COMMITTED;
    if (ledger->err.code != DB_UNKNOWN)
        return TAILSLATE_FAILED;
    ledger->unknown = ledger->err;
    return TAILSLATE_UNKNOWN;
}

static int sql_lock(void *ctx, const struct tailslate_request *request)
{
    struct sql_ledger *ledger = ctx;
    return store_lock_job(ledger->tx.db, request->job_id, &ledger->err);
}

static int read_replaces(struct sql_ledger *ledger, int64_t job_id, bool *replaces)
{
    int64_t value = 0;
    int got = db_one_int(ledger->tx.db, &value, &ledger->err,
                         "SELECT replaces FROM job_epochs WHERE job_id = $1",
                         DB_ARGS(db_int(job_id)));
    *replaces = value != 0;
    return got < 0 ? -1 : 0;
}

static int sql_facts(void *ctx, const struct tailslate_request *request,
                     struct tailslate_facts *facts)
{
    struct sql_ledger *ledger = ctx;
    if (store_now(ledger->store, ledger->tx.db, ledger->now, &ledger->err) != 0 ||
        store_read_facts(ledger->store, ledger->tx.db, ledger->now, ledger->caller, request->job_id,
                         &facts->claim, &ledger->job, &ledger->err) != 0)
        return -1;
    memcpy(facts->now, ledger->now, sizeof facts->now);
    if (!facts->claim.job_found)
        return 0;
    memcpy(facts->completed_at, ledger->job.completed_at, sizeof facts->completed_at);
    if (read_replaces(ledger, request->job_id, &facts->replaces) != 0)
        return -1;
    return store_read_recorded(ledger->tx.db, ledger->job.video_id, &facts->renditions,
                               &ledger->err);
}

static int sql_recorded(void *ctx, const struct tailslate_request *request,
                        struct tailslate_recorded *recorded)
{
    struct sql_ledger *ledger = ctx;
    DB_ROWS(rows) = db_query(ledger->tx.db,
                             "SELECT token, fingerprint, response, committed_at, claim_epoch"
                             " FROM completions WHERE job_id = $1 ORDER BY"
                             " CASE WHEN token = $2 THEN 0 ELSE 1 END, claim_epoch DESC LIMIT 1",
                             DB_ARGS(db_int(request->job_id), db_text(request->completion->token)),
                             &ledger->err);
    int got = rows ? db_next(rows, &ledger->err) : -1;
    if (got <= 0)
        return got;
    db_copy_text(rows, 0, recorded->token, sizeof recorded->token);
    db_copy_text(rows, 1, recorded->fingerprint, sizeof recorded->fingerprint);
    recorded->late = store_response_late(db_get_text(rows, 2));
    db_copy_text(rows, 3, recorded->completed_at, sizeof recorded->completed_at);
    recorded->claim_epoch = db_get_int(rows, 4);
    return 1;
}

static int sql_missing(void *ctx, const struct tailslate_request *request,
                       tailslate_quality_set *missing)
{
    struct sql_ledger *ledger = ctx;
    const struct store_files *files = &ledger->store->settings.files;
    return files->missing(files->ctx, ledger->job.slug,
                          tailslate_completion_qualities(request->completion), missing,
                          &ledger->err);
}

/* 1, or 0: the guards say no. */
static int close_job(struct sql_ledger *ledger, const struct tailslate_effect *effect)
{
    int64_t rows = 0;
    if (db_run(ledger->tx.db, &rows, &ledger->err,
               "UPDATE transcoding_jobs SET completed_at = $4, progress_percent = 100,"
               " current_step = 'finalize', worker_id = $2, claimed_at = NULL,"
               " claim_expires_at = NULL, last_checkpoint = $4 WHERE" STORE_HOLDER_GUARD,
               DB_ARGS(db_int(effect->request->job_id), db_text(ledger->caller->worker->worker_id),
                       db_int(ledger->job.claim_epoch), db_text(ledger->now))) != 0)
        return -1;
    return rows == 1;
}

static char *format_response(const struct tailslate_effect *effect)
{
    struct tailslate_acknowledgment answer = {.status_ok = true,
                                              .message = "Job completed successfully",
                                              .job_id = effect->request->job_id,
                                              .late = effect->result->late};
    memcpy(answer.token, effect->request->completion->token, sizeof answer.token);
    memcpy(answer.completed_at, effect->result->completed_at, sizeof answer.completed_at);
    return tailslate_acknowledgment_format(&answer);
}

static int write_completion(struct sql_ledger *ledger, const struct tailslate_effect *effect)
{
    const struct tailslate_completion *completion = effect->request->completion;
    TEXT(response) = format_response(effect);
    JSON(list) = warnings_new_array(&completion->warnings);
    TEXT(warnings) = list ? json_print(list) : NULL;
    return db_run(ledger->tx.db, NULL, &ledger->err,
                  "INSERT INTO completions (job_id, claim_epoch, token, fingerprint, worker_id,"
                  " response, committed_at, warnings) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
                  " ON CONFLICT (job_id, claim_epoch) DO UPDATE SET token = excluded.token,"
                  " fingerprint = excluded.fingerprint, worker_id = excluded.worker_id,"
                  " response = excluded.response, committed_at = excluded.committed_at,"
                  " warnings = excluded.warnings",
                  DB_ARGS(db_int(effect->request->job_id), db_int(ledger->job.claim_epoch),
                          db_text(completion->token[0] ? completion->token : NULL),
                          db_text(effect->request->fingerprint),
                          db_text(ledger->caller->worker->worker_id), db_text(response),
                          db_text(ledger->now), db_text(warnings)));
}

static int write_renditions(struct sql_ledger *ledger, const struct tailslate_effect *effect)
{
    const struct tailslate_completion *completion = effect->request->completion;
    for (size_t i = 0; i < completion->rendition_count; i++) {
        const struct tailslate_rendition *rendition = &completion->renditions[i];
        if (!(effect->written & 1u << rendition->quality))
            continue;
        if (db_run(ledger->tx.db, NULL, &ledger->err,
                   "INSERT INTO video_qualities (video_id, quality, width, height, bitrate)"
                   " VALUES ($1, $2, $3, $4, $5)",
                   DB_ARGS(db_int(ledger->job.video_id),
                           db_text(tailslate_quality_name(rendition->quality)),
                           db_int(rendition->width), db_int(rendition->height),
                           db_int(rendition->bitrate_kbit))) != 0)
            return -1;
    }
    return 0;
}

static struct db_value measured(int64_t value)
{
    return value > 0 ? db_int(value) : db_null();
}

/* $7: a re-transcode replaces what is there, a first completion fills what is null or 0. */
static int write_video(struct sql_ledger *ledger, const struct tailslate_effect *effect)
{
    const struct tailslate_completion *completion = effect->request->completion;
    return db_run(
        ledger->tx.db, NULL, &ledger->err,
        "UPDATE videos SET status = 'ready', error_message = NULL,"
        " duration = CASE WHEN $7 = 1 OR COALESCE(duration, 0) = 0 THEN COALESCE($2, duration)"
        " ELSE duration END,"
        " source_width = CASE WHEN $7 = 1 OR COALESCE(source_width, 0) = 0"
        " THEN COALESCE($3, source_width) ELSE source_width END,"
        " source_height = CASE WHEN $7 = 1 OR COALESCE(source_height, 0) = 0"
        " THEN COALESCE($4, source_height) ELSE source_height END,"
        " streaming_format = CASE WHEN streaming_format IS NULL OR $7 = 1"
        " OR ($8 = 1 AND published_at IS NULL) THEN COALESCE($5, streaming_format)"
        " ELSE streaming_format END,"
        " primary_codec = CASE WHEN primary_codec IS NULL OR $7 = 1"
        " OR ($8 = 1 AND published_at IS NULL) THEN COALESCE($6, primary_codec)"
        " ELSE primary_codec END,"
        " published_at = COALESCE(published_at, $9) WHERE id = $1",
        DB_ARGS(db_int(ledger->job.video_id),
                completion->duration > 0 ? db_real(completion->duration) : db_null(),
                measured(completion->source_width), measured(completion->source_height),
                db_text(tailslate_format_name(completion->format)),
                db_text(tailslate_codec_name(completion->codec)), db_int(effect->replaces),
                db_int(effect->format_is_default), db_text(ledger->now)));
}

static int write_rest(struct sql_ledger *ledger, int64_t job_id)
{
    if (db_run(ledger->tx.db, NULL, &ledger->err,
               "UPDATE job_epochs SET replaces = 0 WHERE job_id = $1",
               DB_ARGS(db_int(job_id))) != 0)
        return -1;
    return store_leave(ledger->tx.db, ledger->caller->worker->worker_id, job_id, &ledger->err);
}

static int sql_write(void *ctx, const struct tailslate_effect *effect)
{
    struct sql_ledger *ledger = ctx;
    int closed = close_job(ledger, effect);
    if (closed < 0)
        return -1;
    if (closed == 0) {
        /* What is said if the ledger finds no reason for it. */
        error_set(&ledger->err, ERROR_BUG, 0,
                  "job %lld: the update was refused although the verdict allows it",
                  (long long)effect->request->job_id);
        return 0;
    }
    if (write_completion(ledger, effect) != 0 || write_video(ledger, effect) != 0 ||
        write_renditions(ledger, effect) != 0 || write_rest(ledger, effect->request->job_id) != 0 ||
        store_note_event(ledger->store, ledger->tx.db, effect->request->job_id, &ledger->err) != 0)
        return -1;
    return 1;
}

static struct tailslate_ledger of(struct sql_ledger *ledger)
{
    return (struct tailslate_ledger){
        .ctx = ledger,
        .begin = sql_begin,
        .lock = sql_lock,
        .facts = sql_facts,
        .recorded = sql_recorded,
        .missing = sql_missing,
        .write = sql_write,
        .commit = sql_commit,
        .rollback = sql_rollback,
    };
}

typedef int ledger_call(const struct tailslate_ledger *ledger, struct tailslate_request *request,
                        struct tailslate_result *result);

static int call(struct store *store, ledger_call *function, const struct store_caller *caller,
                int64_t job_id, const struct tailslate_completion *completion,
                struct tailslate_result *result, struct error *err)
{
    struct sql_ledger sql = {.store = store, .caller = caller};
    struct tailslate_ledger ledger = of(&sql);
    struct tailslate_request request = {
        .job_id = job_id, .claim_epoch = caller->claim_epoch, .completion = completion};
    int done = function(&ledger, &request, result);
    if (done == 0 && !sql.is_void)
        return 0;
    *err = done == 0 ? sql.void_because : sql.unknown.code ? sql.unknown : sql.err;
    return -1;
}

int store_complete_read(struct store *store, const struct store_caller *caller, int64_t job_id,
                        const struct tailslate_completion *completion,
                        struct tailslate_result *result, struct error *err)
{
    return call(store, tailslate_inspect, caller, job_id, completion, result, err);
}

int store_complete(struct store *store, const struct store_caller *caller, int64_t job_id,
                   const struct tailslate_completion *completion, struct tailslate_result *result,
                   struct error *err)
{
    return call(store, tailslate_complete, caller, job_id, completion, result, err);
}
