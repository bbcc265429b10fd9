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
    enum tailslate_access access;
    struct store_transaction tx;
    struct error err;     /* the last one; code 0: none in this transaction */
    struct error unknown; /* of a commit whose outcome is not known; code 0: there was none */
    bool is_void;         /* what was read was not committed, and `void_because` */
    struct error void_because;
    struct store_facts facts;
    bool replaces, is_recorded;
    struct tailslate_recorded recorded;
    tailslate_quality_set renditions;
    struct tailslate_effect effect; /* what the commit writes */
};

bool store_response_late(const char *response)
{
    struct tailslate_acknowledgment answer;
    return response &&
           tailslate_acknowledgment_parse(response, strlen(response), &answer, NULL) ==
               TAILSLATE_PROBLEM_NONE &&
           answer.late;
}

/* ---- reading: one statement, so that all of it is from the same moment ---- */

/* $3: the token. */
#define LOOK                                                                                       \
    STORE_JOB_SELECT STORE_FACTS_COLUMNS                                                           \
        ", COALESCE(e.replaces, 0), c.token, c.fingerprint, c.response, c.committed_at,"           \
        " c.claim_epoch, r.quality" STORE_JOB_FROM                                                 \
        " LEFT JOIN completions c ON c.job_id = j.id AND c.claim_epoch = (SELECT k.claim_epoch"    \
        " FROM completions k WHERE k.job_id = j.id"                                                \
        " ORDER BY CASE WHEN k.token = $3 THEN 0 ELSE 1 END, k.claim_epoch DESC LIMIT 1)"          \
        " LEFT JOIN video_qualities r ON r.video_id = j.video_id WHERE j.id = $1"
enum { REPLACES = STORE_FACTS_END, TOKEN, FINGERPRINT, RESPONSE, COMMITTED_AT, EPOCH, QUALITY };

static void read_recorded(struct sql_ledger *ledger, struct db_rows *rows)
{
    struct tailslate_recorded *recorded = &ledger->recorded;
    ledger->is_recorded = !db_is_null(rows, FINGERPRINT);
    db_copy_text(rows, TOKEN, recorded->token, sizeof recorded->token);
    db_copy_text(rows, FINGERPRINT, recorded->fingerprint, sizeof recorded->fingerprint);
    recorded->late = store_response_late(db_get_text(rows, RESPONSE));
    db_copy_text(rows, COMMITTED_AT, recorded->completed_at, sizeof recorded->completed_at);
    recorded->claim_epoch = db_get_int(rows, EPOCH);
}

/* A row for each rendition; without any, one row. */
static void read_look(struct db_step *step, struct db_rows *rows)
{
    struct sql_ledger *ledger = step->ctx;
    enum tailslate_quality quality;
    if (step->rows == 0) {
        store_facts_from_row(rows, &ledger->facts);
        ledger->replaces = db_get_int(rows, REPLACES) != 0;
        read_recorded(ledger, rows);
        ledger->renditions = 0;
    }
    const char *name = db_get_text(rows, QUALITY);
    if (name && tailslate_quality_parse(name, &quality))
        ledger->renditions |= 1u << quality;
}

static void add_look(struct db_steps *steps, const struct tailslate_request *request,
                     struct sql_ledger *ledger)
{
    struct db_step *step = db_add_step(steps, LOOK,
                                       DB_ARGS(db_int(request->job_id),
                                               db_text(ledger->facts.caller->worker->worker_id),
                                               db_text(request->completion->token)));
    step->row = read_look;
    step->ctx = ledger;
}

/* To begin and to lock costs a round trip, and has it together with the look. */
static int sql_begin(void *ctx, enum tailslate_access access)
{
    struct sql_ledger *ledger = ctx;
    ledger->access = access;
    ledger->err.code = 0;
    return 0;
}

static int sql_lock(void *ctx, const struct tailslate_request *request)
{
    (void)ctx, (void)request;
    return 0;
}

static int look(struct sql_ledger *ledger, struct db_steps *steps)
{
    struct store *store = ledger->facts.store;
    return ledger->access == TAILSLATE_WRITE
               ? store_begin_together(store, steps->all, steps->count, &ledger->tx, &ledger->err)
               : store_read(store, steps->all, steps->count, &ledger->err);
}

static int sql_facts(void *ctx, const struct tailslate_request *request,
                     struct tailslate_facts *facts)
{
    struct sql_ledger *ledger = ctx;
    struct db_steps steps = {0};
    if (ledger->access == TAILSLATE_WRITE)
        store_add_lock(&steps, request->job_id);
    add_look(&steps, request, ledger);
    if (look(ledger, &steps) != 0)
        return -1;
    if (steps.all[steps.count - 1].rows == 0)
        return 0;
    facts->claim = ledger->facts.claim;
    facts->replaces = ledger->replaces;
    facts->renditions = ledger->renditions;
    memcpy(facts->now, ledger->facts.now, sizeof facts->now);
    memcpy(facts->completed_at, ledger->facts.job.completed_at, sizeof facts->completed_at);
    return 0;
}

static int sql_recorded(void *ctx, const struct tailslate_request *request,
                        struct tailslate_recorded *recorded)
{
    (void)request;
    const struct sql_ledger *ledger = ctx;
    *recorded = ledger->recorded;
    return ledger->is_recorded;
}

static int sql_missing(void *ctx, const struct tailslate_request *request,
                       tailslate_quality_set *missing)
{
    struct sql_ledger *ledger = ctx;
    const struct store_files *files = &ledger->facts.store->settings.files;
    return files->missing(files->ctx, ledger->facts.job.slug,
                          tailslate_completion_qualities(request->completion), missing,
                          &ledger->err);
}

/* ---- writing ---- */

static void note_writing(struct db_step *step, struct db_rows *rows)
{
    (void)step, (void)rows;
    crash_point(CRASH_VERIFIER_COMMITTING);
}

/* Its guards decide whether anything takes effect. */
static void close_job(struct db_steps *steps, const struct sql_ledger *ledger)
{
    const struct store_facts *facts = &ledger->facts;
    struct db_step *step = db_add_step(
        steps,
        "UPDATE transcoding_jobs SET completed_at = $4, progress_percent = 100,"
        " current_step = 'finalize', worker_id = $2, claimed_at = NULL,"
        " claim_expires_at = NULL, last_checkpoint = $4 WHERE" STORE_HOLDER_GUARD " RETURNING id",
        DB_ARGS(db_int(facts->job.id), db_text(facts->caller->worker->worker_id),
                db_int(facts->job.claim_epoch), db_text(facts->now)));
    step->needs_row = true;
    step->row = note_writing;
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

static void write_completion(struct db_steps *steps, const struct sql_ledger *ledger,
                             const char *response, const char *warnings)
{
    const struct store_facts *facts = &ledger->facts;
    const struct tailslate_request *request = ledger->effect.request;
    const char *token = request->completion->token;
    db_add_step(steps,
                "INSERT INTO completions (job_id, claim_epoch, token, fingerprint, worker_id,"
                " response, committed_at, warnings) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
                " ON CONFLICT (job_id, claim_epoch) DO UPDATE SET token = excluded.token,"
                " fingerprint = excluded.fingerprint, worker_id = excluded.worker_id,"
                " response = excluded.response, committed_at = excluded.committed_at,"
                " warnings = excluded.warnings",
                DB_ARGS(db_int(facts->job.id), db_int(facts->job.claim_epoch),
                        db_text(token[0] ? token : NULL), db_text(request->fingerprint),
                        db_text(facts->caller->worker->worker_id), db_text(response),
                        db_text(facts->now), db_text(warnings)));
}

/* All of them in one statement: $1 the video, then four values each. */
#define INSERT_RENDITIONS                                                                          \
    "INSERT INTO video_qualities (video_id, quality, width, height, bitrate) VALUES "
#define RENDITION_1 "($1, $2, $3, $4, $5)"
#define RENDITION_2 RENDITION_1 ", ($1, $6, $7, $8, $9)"
#define RENDITION_3 RENDITION_2 ", ($1, $10, $11, $12, $13)"
#define RENDITION_4 RENDITION_3 ", ($1, $14, $15, $16, $17)"
#define RENDITION_5 RENDITION_4 ", ($1, $18, $19, $20, $21)"
#define RENDITION_6 RENDITION_5 ", ($1, $22, $23, $24, $25)"
#define RENDITION_7 RENDITION_6 ", ($1, $26, $27, $28, $29)"
static const char *const insert_renditions[TAILSLATE_QUALITY_COUNT + 1] = {
    NULL,
    INSERT_RENDITIONS RENDITION_1,
    INSERT_RENDITIONS RENDITION_2,
    INSERT_RENDITIONS RENDITION_3,
    INSERT_RENDITIONS RENDITION_4,
    INSERT_RENDITIONS RENDITION_5,
    INSERT_RENDITIONS RENDITION_6,
    INSERT_RENDITIONS RENDITION_7,
};
_Static_assert(TAILSLATE_QUALITY_COUNT == 7, "a statement for each number of renditions");

static void write_renditions(struct db_steps *steps, const struct sql_ledger *ledger)
{
    const struct tailslate_effect *effect = &ledger->effect;
    const struct tailslate_completion *completion = effect->request->completion;
    struct db_value values[DB_PARAMETERS_MAX] = {db_int(ledger->facts.job.video_id)};
    size_t value_count = 1, written = 0;
    for (size_t i = 0; i < completion->rendition_count; i++) {
        const struct tailslate_rendition *rendition = &completion->renditions[i];
        if (!(effect->written & 1u << rendition->quality))
            continue;
        values[value_count++] = db_text(tailslate_quality_name(rendition->quality));
        values[value_count++] = db_int(rendition->width);
        values[value_count++] = db_int(rendition->height);
        values[value_count++] = db_int(rendition->bitrate_kbit);
        written++;
    }
    if (written > 0)
        db_add_step(steps, insert_renditions[written], values, value_count);
}

static struct db_value measured(int64_t value)
{
    return value > 0 ? db_int(value) : db_null();
}

/* $7: a re-transcode replaces what is there, a first completion fills what is null or 0. */
static void write_video(struct db_steps *steps, const struct sql_ledger *ledger)
{
    const struct tailslate_effect *effect = &ledger->effect;
    const struct tailslate_completion *completion = effect->request->completion;
    db_add_step(
        steps,
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
        DB_ARGS(db_int(ledger->facts.job.video_id),
                completion->duration > 0 ? db_real(completion->duration) : db_null(),
                measured(completion->source_width), measured(completion->source_height),
                db_text(tailslate_format_name(completion->format)),
                db_text(tailslate_codec_name(completion->codec)), db_int(effect->replaces),
                db_int(effect->format_is_default), db_text(ledger->facts.now)));
}

static void write_rest(struct db_steps *steps, const struct sql_ledger *ledger)
{
    const struct store_facts *facts = &ledger->facts;
    if (ledger->replaces) /* read under the lock that its writers hold */
        db_add_step(steps, "UPDATE job_epochs SET replaces = 0 WHERE job_id = $1",
                    DB_ARGS(db_int(facts->job.id)));
    if (facts->job.priority != 0) /* it was for this work */
        db_add_step(steps, "UPDATE job_queue SET priority = 0 WHERE job_id = $1",
                    DB_ARGS(db_int(facts->job.id)));
    store_add_leave(steps, facts->caller->worker->worker_id, facts->job.id);
}

/* Nothing needs an answer before the commit, which decides: all of it is sent then. */
static int sql_write(void *ctx, const struct tailslate_effect *effect)
{
    struct sql_ledger *ledger = ctx;
    ledger->effect = *effect;
    return 1;
}

/* With an event for the webhook, which says what is on record then, it takes longer. */
static int commit_steps(struct sql_ledger *ledger, struct db_steps *steps)
{
    struct store *store = ledger->facts.store;
    struct store_transaction *tx = &ledger->tx;
    struct error *err = &ledger->err;
    if (store->settings.events == 0)
        return store_commit_with(tx, steps->all, steps->count, err);
    if (db_batch(tx->db, DB_PLAIN, steps->all, steps->count, err) == 0 &&
        store_note_event(store, tx->db, ledger->facts.job.id, err) == 0)
        return store_commit(tx, err);
    store_rollback(tx);
    return -1;
}

static int commit_effect(struct sql_ledger *ledger)
{
    TEXT(response) = format_response(&ledger->effect);
    JSON(list) = warnings_new_array(&ledger->effect.request->completion->warnings);
    TEXT(warnings) = list ? json_print(list) : NULL;
    struct db_steps steps = {0};
    close_job(&steps, ledger);
    write_completion(&steps, ledger, response, warnings);
    write_video(&steps, ledger);
    write_renditions(&steps, ledger);
    write_rest(&steps, ledger);
    return commit_steps(ledger, &steps);
}

static enum tailslate_outcome sql_commit(void *ctx)
{
    struct sql_ledger *ledger = ctx;
    crash_point(CRASH_VERIFIER_IN_TRANSACTION);
    if (commit_effect(ledger) == 0)
        return TAILSLATE_COMMITTED;
    if (ledger->err.code != DB_UNKNOWN)
        return TAILSLATE_FAILED;
    ledger->unknown = ledger->err;
    return TAILSLATE_UNKNOWN;
}

/* Nothing is written: the verdict stands if what it was read from is committed. */
static void sql_rollback(void *ctx)
{
    struct sql_ledger *ledger = ctx;
    ledger->is_void = store_end(&ledger->tx, &ledger->void_because) != 0;
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
    struct sql_ledger sql = {.facts = {.store = store, .caller = caller}};
    struct tailslate_ledger ledger = of(&sql);
    struct tailslate_request request = {
        .job_id = job_id, .claim_epoch = caller->claim_epoch, .completion = completion};
    int done = function(&ledger, &request, result);
    if (done == 0 && !sql.is_void)
        return 0;
    *err = done == 0 ? sql.void_because : sql.unknown.code ? sql.unknown : sql.err;
    return -1;
}

/* One slot for a job and those that differ from it by a multiple: the later one is remembered. */
static _Atomic int64_t *slot_of(struct store *store, int64_t job_id)
{
    return &store->completed_lately[(uint64_t)job_id % STORE_COMPLETED_LATELY];
}

bool store_completed_lately(struct store *store, int64_t job_id)
{
    return *slot_of(store, job_id) == job_id;
}

int store_complete_read(struct store *store, const struct store_caller *caller, int64_t job_id,
                        const struct tailslate_completion *completion,
                        struct tailslate_result *result, struct error *err)
{
    return call(store, tailslate_inspect, caller, job_id, completion, result, err);
}

static int complete(struct store *store, const struct store_caller *caller, int64_t job_id,
                    const struct tailslate_completion *completion, struct tailslate_result *result,
                    struct error *err)
{
    int done = call(store, tailslate_complete, caller, job_id, completion, result, err);
    if (done == 0 || err->code != DB_REFUSED)
        return done;
    /* The guards refused what the look had allowed: the video changed in between. Look again. */
    done = call(store, tailslate_complete, caller, job_id, completion, result, err);
    return done == 0 || err->code != DB_REFUSED ? done : store_job_changed(job_id, err);
}

int store_complete(struct store *store, const struct store_caller *caller, int64_t job_id,
                   const struct tailslate_completion *completion, struct tailslate_result *result,
                   struct error *err)
{
    int done = complete(store, caller, job_id, completion, result, err);
    if (done == 0 && tailslate_verify_problem(result->verdict) == TAILSLATE_PROBLEM_NONE)
        *slot_of(store, job_id) = job_id;
    return done;
}
