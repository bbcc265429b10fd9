/* The completion and the failure: the two calls that end a claim. */
#include "store.h"
#include "store_private.h"

#include "tailslate/cleanup.h"
#include "tailslate/crash.h"
#include "tailslate/json.h"

#include <string.h>

struct completing {
    const struct store_caller *caller;
    int64_t job_id;
    const struct message_completion *completion;
    char fingerprint[HASH_HEX_BYTES];
    struct store_completed *result;
    /* What the database says. */
    char now[WALL_TEXT_BYTES];
    struct verify_facts facts;
    struct store_job job;
    quality_set recorded;
    bool replaces;
};

bool store_response_late(const char *response)
{
    struct message_acknowledgement answer;
    struct error ignored;
    return response &&
           message_acknowledgement_parse(response, strlen(response), &answer, &ignored) ==
               PROBLEM_NONE &&
           answer.late;
}

/* The recorded completion that concerns this request: the one with its token, else the newest. */
static int read_completion(struct db *db, struct completing *completing, struct error *err)
{
    const char *token = completing->completion->token;
    DB_ROWS(rows) = db_query(db,
                             "SELECT token, fingerprint, response, committed_at, claim_epoch"
                             " FROM completions WHERE job_id = $1 ORDER BY"
                             " CASE WHEN token = $2 THEN 0 ELSE 1 END, claim_epoch DESC LIMIT 1",
                             DB_ARGS(db_int(completing->job_id), db_text(token)), err);
    int got = rows ? db_next(rows, err) : -1;
    if (got <= 0)
        return got;
    const char *recorded = db_get_text(rows, 0), *fingerprint = db_get_text(rows, 1);
    struct verify_facts *facts = &completing->facts;
    facts->token_known = token[0] && recorded && strcmp(recorded, token) == 0;
    facts->fingerprint_same = fingerprint && strcmp(fingerprint, completing->fingerprint) == 0;

    completing->result->late = store_response_late(db_get_text(rows, 2));
    db_copy_text(rows, 3, completing->result->completed_at,
                 sizeof completing->result->completed_at);
    completing->result->claim_epoch = db_get_int(rows, 4);
    /* Who hands out the claims does not count them, and this very claim was completed before: it is
     * a re-transcode, although nobody told us. */
    completing->replaces = completing->result->claim_epoch == completing->job.claim_epoch;
    return 0;
}

static int read_replaces(struct db *db, struct completing *completing, struct error *err)
{
    int64_t replaces = 0;
    int got = db_one_int(db, &replaces, err, "SELECT replaces FROM job_epochs WHERE job_id = $1",
                         DB_ARGS(db_int(completing->job_id)));
    completing->replaces |= replaces != 0;
    return got < 0 ? -1 : 0;
}

static void judge(struct completing *completing)
{
    struct verify_request request = {
        .epoch_given = completing->caller->claim_epoch != ABSENT_INT,
        .epoch = completing->caller->claim_epoch,
        .qualities_empty = completing->completion->rendition_count == 0,
    };
    completing->result->verdict = verify_completion(&request, &completing->facts);
}

/* Everything but the files: those are looked at under the lock only. */
static int classify(struct store *store, struct db *db, struct completing *completing,
                    struct error *err)
{
    struct store_completed *result = completing->result;
    *result = (struct store_completed){0};
    completing->replaces = false;
    if (store_now(store, db, completing->now, err) != 0 ||
        store_read_facts(store, db, completing->now, completing->caller, completing->job_id,
                         &completing->facts, &completing->job, err) != 0)
        return -1;
    if (completing->facts.job_found) {
        if (read_completion(db, completing, err) != 0 || read_replaces(db, completing, err) != 0 ||
            store_read_recorded(db, completing->job.video_id, &completing->recorded, err) != 0)
            return -1;
        completing->facts.qualities_recorded = completing->recorded != 0;
    }
    judge(completing);
    /* Completed by somebody who keeps no completions rows: the job row is the record. */
    if (result->verdict == VERIFY_REPLAY && !result->completed_at[0])
        memcpy(result->completed_at, completing->job.completed_at, sizeof result->completed_at);
    return 0;
}

static int look_at_files(struct store *store, struct completing *completing, struct error *err)
{
    quality_set *missing = &completing->result->missing;
    if (store->settings.files.missing(store->settings.files.ctx, completing->job.slug,
                                      message_completion_qualities(completing->completion), missing,
                                      err) != 0)
        return -1;
    completing->facts.files_missing = *missing != 0;
    judge(completing);
    return 0;
}

static int close_job(struct db *db, struct completing *completing, bool *touched, struct error *err)
{
    int64_t rows = 0;
    int done = db_run(db, &rows, err,
                      "UPDATE transcoding_jobs SET completed_at = $4, progress_percent = 100,"
                      " current_step = 'finalize', worker_id = $2, claimed_at = NULL,"
                      " claim_expires_at = NULL, last_checkpoint = $4 WHERE" STORE_HOLDER_GUARD,
                      DB_ARGS(db_int(completing->job_id),
                              db_text(completing->caller->worker->worker_id),
                              db_int(completing->job.claim_epoch), db_text(completing->now)));
    *touched = rows == 1;
    return done;
}

static int write_completion(struct db *db, struct completing *completing, struct error *err)
{
    const struct store_completed *result = completing->result;
    const char *token = completing->completion->token;
    struct message_acknowledgement answer = {.status_ok = true,
                                             .message = "Job completed successfully",
                                             .job_id = completing->job_id,
                                             .late = result->late};
    memcpy(answer.token, token, sizeof answer.token);
    memcpy(answer.completed_at, result->completed_at, sizeof answer.completed_at);
    TEXT(response) = message_acknowledgement_format(&answer);
    JSON(list) = warnings_new_array(&completing->completion->warnings);
    TEXT(warnings) = list ? json_print(list) : NULL;
    return db_run(db, NULL, err,
                  "INSERT INTO completions (job_id, claim_epoch, token, fingerprint, worker_id,"
                  " response, committed_at, warnings) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
                  " ON CONFLICT (job_id, claim_epoch) DO UPDATE SET token = excluded.token,"
                  " fingerprint = excluded.fingerprint, worker_id = excluded.worker_id,"
                  " response = excluded.response, committed_at = excluded.committed_at,"
                  " warnings = excluded.warnings",
                  DB_ARGS(db_int(completing->job_id), db_int(completing->job.claim_epoch),
                          db_text(token[0] ? token : NULL), db_text(completing->fingerprint),
                          db_text(completing->caller->worker->worker_id), db_text(response),
                          db_text(completing->now), db_text(warnings)));
}

static int write_renditions(struct db *db, struct completing *completing, struct error *err)
{
    const struct message_completion *completion = completing->completion;
    for (size_t i = 0; i < completion->rendition_count; i++) {
        const struct message_rendition *rendition = &completion->renditions[i];
        if (completing->recorded & 1u << rendition->quality)
            continue;
        if (db_run(db, NULL, err,
                   "INSERT INTO video_qualities (video_id, quality, width, height, bitrate)"
                   " VALUES ($1, $2, $3, $4, $5)",
                   DB_ARGS(db_int(completing->job.video_id),
                           db_text(quality_name(rendition->quality)), db_int(rendition->width),
                           db_int(rendition->height), db_int(rendition->bitrate_kbit))) != 0)
            return -1;
    }
    return 0;
}

static struct db_value measured(int64_t value)
{
    return value > 0 ? db_int(value) : db_null();
}

/* $7: a re-transcode replaces what is there, a first completion fills what is null or 0. */
static int write_video(struct db *db, struct completing *completing, struct error *err)
{
    const struct message_completion *completion = completing->completion;
    /* Nothing was ever recorded: the row still holds the default of its creation. */
    bool format_open = completing->replaces || completing->recorded == 0;
    return db_run(
        db, NULL, err,
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
        DB_ARGS(db_int(completing->job.video_id),
                completion->duration > 0 ? db_real(completion->duration) : db_null(),
                measured(completion->source_width), measured(completion->source_height),
                db_text(streaming_format_name(completion->format)),
                db_text(streaming_codec_name(completion->codec)),
                db_int(completing->replaces ? 1 : 0), db_int(format_open ? 1 : 0),
                db_text(completing->now)));
}

static int write_rest(struct db *db, struct completing *completing, struct error *err)
{
    if (db_run(db, NULL, err, "UPDATE job_epochs SET replaces = 0 WHERE job_id = $1",
               DB_ARGS(db_int(completing->job_id))) != 0)
        return -1;
    return store_leave(db, completing->caller->worker->worker_id, completing->job_id, err);
}

static int complete(struct store *store, struct db *db, void *ctx, struct error *err)
{
    struct completing *completing = ctx;
    struct store_completed *result = completing->result;
    if (store_lock_job(db, completing->job_id, err) != 0 ||
        classify(store, db, completing, err) != 0)
        return -1;
    if (verify_commits(result->verdict) && look_at_files(store, completing, err) != 0)
        return -1;
    if (!verify_commits(result->verdict))
        return STORE_ROLL_BACK;

    result->late = result->verdict == VERIFY_COMMIT_LATE;
    result->claim_epoch = completing->job.claim_epoch;
    memcpy(result->completed_at, completing->now, sizeof result->completed_at);
    bool touched;
    if (close_job(db, completing, &touched, err) != 0)
        return -1;
    if (!touched) {
        /* The guards have the last word: what do they see that the look did not? */
        if (classify(store, db, completing, err) != 0)
            return -1;
        return verify_commits(result->verdict)
                   ? error_set(err, ERROR_BUG, 0,
                               "job %lld: its guards refuse what its facts allow",
                               (long long)completing->job_id)
                   : STORE_ROLL_BACK;
    }
    if (write_completion(db, completing, err) != 0 || write_video(db, completing, err) != 0 ||
        write_renditions(db, completing, err) != 0 || write_rest(db, completing, err) != 0)
        return -1;
    crash_point(CRASH_VERIFIER_IN_TRANSACTION);
    return 0;
}

static int classify_only(struct store *store, struct db *db, void *ctx, struct error *err)
{
    return classify(store, db, ctx, err);
}

/* The commit may or may not have happened. Look again, on another connection: only a completion
 * that is on record is acknowledged, and it was ours if it carries our claim, content and token. */
static int resolve_unknown(struct store *store, struct completing *completing)
{
    struct error second;
    bool late = completing->result->late;
    int64_t epoch = completing->result->claim_epoch;
    if (store_reading(store, classify_only, completing, &second) != 0 ||
        completing->result->verdict != VERIFY_REPLAY || completing->result->claim_epoch != epoch ||
        !completing->facts.fingerprint_same)
        return -1; /* with the first error: 503, and the worker asks again */
    if (completing->facts.token_known || !completing->completion->token[0])
        completing->result->verdict = late ? VERIFY_COMMIT_LATE : VERIFY_COMMIT;
    return 0;
}

int store_complete_look(struct store *store, const struct store_caller *caller, int64_t job_id,
                        const struct message_completion *completion, struct store_completed *result,
                        struct error *err)
{
    struct completing completing = {
        .caller = caller, .job_id = job_id, .completion = completion, .result = result};
    message_completion_fingerprint(completion, completing.fingerprint);
    return store_reading(store, classify_only, &completing, err);
}

int store_complete(struct store *store, const struct store_caller *caller, int64_t job_id,
                   const struct message_completion *completion, struct store_completed *result,
                   struct error *err)
{
    struct completing completing = {
        .caller = caller, .job_id = job_id, .completion = completion, .result = result};
    message_completion_fingerprint(completion, completing.fingerprint);
    if (store_transaction(store, complete, &completing, err) == 0)
        return 0;
    return err->code == DB_UNKNOWN ? resolve_unknown(store, &completing) : -1;
}
