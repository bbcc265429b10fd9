/* The embedded database: what becomes of its file under a server. */
#include "../base/scratch.h"
#include "base/clock.h"
#include "lib/cleanup.h"
#include "verifier/db/db.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* A commit to a file that has no name any more is on record nowhere. */
Test(db_sqlite, a_file_that_was_moved_takes_no_transaction_until_it_is_back)
{
    SCRATCH(scratch);
    struct error err;
    TEXT(path) = must_printf("%s/a.db", scratch.path);
    TEXT(away) = must_printf("%s/b.db", scratch.path);
    TEXT(url) = must_printf("sqlite:%s", path);
    struct db *db = db_open(url, NULL, &err);
    cr_assert(db, "%s", err.message);
    cr_assert_eq(rename(path, away), 0);
    for (int i = 0; i < 2; i++) { /* gone, then another one */
        cr_expect_eq(db_begin(db, &err), -1);
        cr_expect_eq(err.code, DB_BROKEN, "%s", err.message);
        cr_expect_eq(err.class, ERROR_TEMPORARY);
        cr_expect_eq(db_begin_reading(db, &err), -1);
        cr_expect(db_is_broken(db), "the pool must close it");
        scratch_put_text(&scratch, "a.db", "");
    }
    cr_assert_eq(rename(away, path), 0);
    cr_expect_eq(db_begin(db, &err), 0, "%s", err.message);
    db_rollback(db);
    db_close(db);
}

/* SQLite's own wait does not cover the switch to WAL. */
Test(db_sqlite, a_new_file_that_another_verifier_writes_is_waited_for)
{
    SCRATCH(scratch);
    struct error err;
    TEXT(url) = must_printf("sqlite:%s/a.db", scratch.path);
    struct db *writer = db_open(url, NULL, &err);
    cr_assert(writer, "%s", err.message);
    cr_assert_eq(db_script(writer, "PRAGMA journal_mode=DELETE", &err), 0, "%s", err.message);
    cr_assert_eq(db_begin(writer, &err), 0, "%s", err.message);
    int64_t began_ms = mono_ms();
    cr_expect_null(db_open(url, NULL, &err));
    cr_expect_eq(err.code, DB_BUSY, "%s", err.message);
    cr_expect_geq(mono_ms() - began_ms, DB_WAIT_MS);
    db_rollback(writer);
    struct db *next = db_open(url, NULL, &err);
    cr_expect(next, "%s", err.message);
    db_close(next);
    db_close(writer);
}
