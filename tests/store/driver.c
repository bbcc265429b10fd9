/* The drivers below the store, on a database that a store has made. */
#include "base/clock.h"
#include "lib/cleanup.h"
#include "store_rig.h"
#include "verifier/db/db.h"

#include <criterion/criterion.h>

/* PostgreSQL waits for a row, SQLite for the file. */
static int lock_a_job(struct db *db, struct error *err)
{
    if (db_begin(db, err) != 0)
        return -1;
    return db_run(db, NULL, err, "SELECT id FROM transcoding_jobs" DB_FOR_UPDATE, DB_NO_ARGS);
}

Test(db, a_lock_that_is_not_had_is_temporary_and_bounded)
{
    struct rig *rig = rig_new();
    struct error err;
    struct db *holder = db_open(rig->url, NULL, &err), *other = db_open(rig->url, NULL, &err);
    rig_add_job(rig, "film");
    cr_assert_eq(lock_a_job(holder, &err), 0);
    int64_t start_ms = mono_ms();
    cr_expect_eq(lock_a_job(other, &err), -1);
    cr_expect(mono_ms() - start_ms < DB_WAIT_MS + 3000);
    cr_expect_eq(err.class, ERROR_TEMPORARY);
    cr_expect_eq(err.code, DB_BUSY);
    db_rollback(other);
    db_rollback(holder);
    cr_expect_eq(lock_a_job(other, &err), 0);
    db_close(holder);
    db_rollback(other);
    db_close(other);
    rig_free(rig);
}

Test(db, survives_many_parameters_and_nulls)
{
    struct rig *rig = rig_new();
    struct error err;
    struct db *db = db_open(rig->url, NULL, &err);
    DB_ROWS(rows) = db_query(db, "SELECT $11, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10",
                             DB_ARGS(db_int(1), db_int(2), db_int(3), db_int(4), db_int(5),
                                     db_int(6), db_int(7), db_int(8), db_null(), db_real(1.5),
                                     db_text("eleven")),
                             &err);
    cr_assert_eq(db_next(rows, &err), 1);
    cr_expect_str_eq(db_get_text(rows, 0), "eleven");
    cr_expect_eq(db_get_int(rows, 1), 1);
    cr_expect(db_is_null(rows, 9));
    cr_expect_float_eq(db_get_real(rows, 10), 1.5, 1e-9);
    db_end(rows);
    rows = NULL;
    db_close(db);
    rig_free(rig);
}

/* Statements are kept by address, and not without end. */
Test(db, forgets_statements_rather_than_keep_thousands)
{
    enum { STATEMENTS = 600 };
    struct rig *rig = rig_new();
    struct error err;
    struct db *db = db_open(rig->url, NULL, &err);
    char *statements[STATEMENTS];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < STATEMENTS; i++) {
            int64_t value = -1;
            if (round == 0)
                statements[i] = must_printf("SELECT CAST(%d AS INTEGER) WHERE $1 = 7", i);
            cr_assert_eq(db_one_int(db, &value, &err, statements[i], DB_ARGS(db_int(7))), 1, "%s",
                         err.message);
            cr_assert_eq(value, i);
        }
    }
    for (int i = 0; i < STATEMENTS; i++)
        free(statements[i]);
    db_close(db);
    rig_free(rig);
}

Test(db, a_second_step_that_fails_is_not_dropped)
{
    struct rig *rig = rig_new();
    struct error err = {0};
    struct db *db = db_open(rig->url, NULL, &err);
    int64_t value;
    cr_expect_eq(db_one_int(db, &value, &err,
                            "SELECT ABS(t.x) FROM (SELECT 1 AS x UNION ALL"
                            " SELECT -9223372036854775807 - 1) AS t",
                            DB_NO_ARGS),
                 -1, "the second row has no absolute value");
    cr_expect(err.message[0]);
    db_close(db);
    rig_free(rig);
}

/* A pooler lends a session for one transaction: whatever is not set in it is not set. */
Test(db, every_statement_on_postgresql_has_the_limits)
{
    static const char sql[] = "SELECT 1 WHERE current_setting('lock_timeout') = '4500ms' AND"
                              " current_setting('statement_timeout') = '5s' AND"
                              " current_setting('idle_in_transaction_session_timeout') = '15s'";
    enum { TURNS = 12 };
    struct rig *rig = rig_new();
    struct error err;
    struct db *db = db_open(rig->url, NULL, &err);
    cr_assert(db, "%s", err.message);
    for (int turn = 0; turn < TURNS && !rig->path; turn++) {
        int64_t one;
        struct db_step step = {.sql = sql, .needs_row = true};
        cr_expect_eq(db_one_int(db, &one, &err, sql, DB_NO_ARGS), 1, "alone, %d", turn);
        cr_expect_eq(db_batch(db, DB_READ, &step, 1, &err), 0, "in a batch, %d", turn);
        cr_assert_eq(db_begin(db, &err), 0);
        cr_expect_eq(db_one_int(db, &one, &err, sql, DB_NO_ARGS), 1, "in a transaction, %d", turn);
        db_rollback(db);
    }
    db_close(db);
    rig_free(rig);
}
