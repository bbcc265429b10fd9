/* Several statements in one round trip: libpq's pipeline mode. The server skips whatever follows a
 * statement that failed, a COMMIT too, up to the synchronization at the end. */
#include "verifier/db/db_postgres_private.h"

#include <libpq-fe.h>
#include <string.h>

/* What is sent around the steps; NULL: nothing. */
struct frame {
    const char *begin, *limits, *commit;
};

static struct frame frame_of(const struct postgres_db *db, enum db_frame frame, size_t count)
{
    static const char begin[] = "BEGIN ISOLATION LEVEL READ COMMITTED";
    const char *limits = postgres_needs_limits(db) ? postgres_set_limits : NULL;
    switch (frame) {
    case DB_PLAIN:
        if (limits)
            return (struct frame){begin, limits, "COMMIT"};
        break;
    case DB_BEGIN:
        return (struct frame){.begin = begin, .limits = limits};
    case DB_READ:
        if (count > 1 || limits) /* one statement is one snapshot by itself */
            return (struct frame){"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", limits,
                                  "COMMIT"};
        break;
    case DB_COMMIT:
        return (struct frame){.commit = "COMMIT"};
    }
    return (struct frame){0};
}

/* ---- sending ---- */

/* All of them first: a statement that has to be prepared costs a round trip of its own, once. */
static int prepare_all(struct postgres_db *db, const struct db_step *steps, size_t count,
                       int numbers[], struct error *err)
{
    if (postgres_usable(db, err) != 0 || postgres_reserve(db, count, err) != 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if ((numbers[i] = postgres_prepare(db, &steps[i], err)) < 0)
            return -1;
    return 0;
}

static bool send_text(struct postgres_db *db, const char *sql)
{
    return !sql || PQsendQueryParams(db->conn, sql, 0, NULL, NULL, NULL, NULL, 0);
}

static bool send_all(struct postgres_db *db, const struct frame *frame, const struct db_step *steps,
                     size_t count, const int numbers[])
{
    if (!PQenterPipelineMode(db->conn) || !send_text(db, frame->begin) ||
        !send_text(db, frame->limits))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!postgres_send(db, numbers[i], &steps[i]))
            return false;
    return send_text(db, frame->commit) && PQpipelineSync(db->conn);
}

/* ---- reading ---- */

struct reading {
    struct postgres_db *db;
    int64_t deadline_ms;
    bool is_refused;   /* by the server: of what follows nothing has run */
    struct error *err; /* of what failed first */
    struct error ignored;
};

static struct error *error_of(struct reading *reading)
{
    return reading->is_refused ? &reading->ignored : reading->err;
}

static PGresult *next_result(struct reading *reading)
{
    return postgres_await(reading->db, reading->deadline_ms, error_of(reading)) == 0
               ? PQgetResult(reading->db->conn)
               : NULL;
}

static void note_failure(struct reading *reading, const PGresult *result)
{
    if (PQresultStatus(result) == PGRES_PIPELINE_ABORTED)
        return;
    postgres_failed(reading->db, result, error_of(reading));
    reading->is_refused = reading->is_refused || !reading->db->is_broken;
}

/* The result of the next statement that ran and went well, else NULL. */
static PGresult *read_statement(struct reading *reading)
{
    struct postgres_db *db = reading->db;
    if (db->is_broken)
        return NULL;
    PGresult *result = next_result(reading);
    if (!result) {
        if (!db->is_broken)
            postgres_lost(db, error_of(reading));
        return NULL;
    }
    if (postgres_went_well(result)) {
        PQclear(next_result(reading)); /* the end of this statement's */
        return result;
    }
    note_failure(reading, result);
    PQclear(result);
    if (!db->is_broken)
        PQclear(next_result(reading));
    return NULL;
}

static void read_step(struct reading *reading, struct db_step *step)
{
    PGresult *result = read_statement(reading);
    if (result)
        db_take_rows(postgres_rows_of(reading->db, result), step, reading->err);
    else if (reading->is_refused && step->needs_row && reading->err->code == DB_REFUSED)
        db_refuse(reading->err);
}

/* True: it took effect. */
static bool read_text(struct reading *reading, const char *sql)
{
    if (!sql)
        return true;
    PGresult *result = read_statement(reading);
    /* A transaction that had failed before is ended by COMMIT, too. */
    bool is_it = result && strncmp(sql, PQcmdStatus(result), strlen(PQcmdStatus(result))) == 0;
    if (result && !is_it)
        error_set(reading->err, ERROR_BUG, 0, "commit of a transaction that had failed");
    PQclear(result);
    return is_it;
}

static void read_limits(struct reading *reading, const struct frame *frame)
{
    if (frame->limits)
        PQclear(read_statement(reading));
}

static void leave_pipeline(struct reading *reading)
{
    struct postgres_db *db = reading->db;
    if (db->is_broken)
        return;
    PQclear(next_result(reading)); /* the synchronization */
    if (!db->is_broken && !PQexitPipelineMode(db->conn))
        postgres_lost(db, error_of(reading));
}

/* True: the frame took effect, and so did the steps before it. */
static bool read_all(struct reading *reading, const struct frame *frame, struct db_step *steps,
                     size_t count)
{
    bool has_begun = read_text(reading, frame->begin);
    read_limits(reading, frame);
    for (size_t i = 0; i < count; i++)
        read_step(reading, &steps[i]);
    bool is_over = read_text(reading, frame->commit);
    bool is_well = has_begun && is_over && !reading->is_refused;
    if (!frame->commit)
        is_well = is_well && !reading->db->is_broken;
    leave_pipeline(reading);
    return is_well;
}

static int fail(struct reading *reading, enum db_frame kind, const struct frame *frame)
{
    struct postgres_db *db = reading->db;
    struct error *err = reading->err;
    if (kind == DB_COMMIT && db->is_broken && !reading->is_refused) {
        struct error why = *err;
        return error_set(err, ERROR_TEMPORARY, DB_UNKNOWN, "commit: %s", why.message);
    }
    /* Such as a plan from before a table was changed; a new connection makes a new one. */
    if (err->class == ERROR_BUG)
        db->is_broken = true;
    if (kind == DB_READ || (kind == DB_PLAIN && frame->begin))
        db_rollback(&db->db);
    return -1;
}

int postgres_batch(struct db *base, enum db_frame kind, struct db_step *steps, size_t count,
                   struct error *err)
{
    struct postgres_db *db = postgres_of(base);
    struct frame frame = frame_of(db, kind, count);
    struct reading reading = {.db = db, .err = err};
    int numbers[DB_STEPS_MAX];
    if (prepare_all(db, steps, count, numbers, err) != 0)
        return -1; /* nothing was sent */
    if (!send_all(db, &frame, steps, count, numbers)) {
        postgres_lost(db, err);
        return fail(&reading, kind, &frame);
    }
    reading.deadline_ms = postgres_deadline_ms();
    return read_all(&reading, &frame, steps, count) ? 0 : fail(&reading, kind, &frame);
}

PGresult *postgres_alone(struct postgres_db *db, struct db_step *step, struct error *err)
{
    struct frame frame = frame_of(db, DB_PLAIN, 1);
    struct reading reading = {.db = db, .err = err};
    PGresult *result = NULL;
    bool is_over = false;
    if (send_all(db, &frame, step, 1, (const int[]){0})) {
        reading.deadline_ms = postgres_deadline_ms();
        read_text(&reading, frame.begin);
        read_limits(&reading, &frame);
        result = read_statement(&reading);
        is_over = read_text(&reading, frame.commit);
        leave_pipeline(&reading);
    } else {
        postgres_lost(db, err);
    }
    if (is_over)
        return result;
    PQclear(result);
    fail(&reading, DB_PLAIN, &frame);
    return NULL;
}
