#include "verifier/db/db.h"

#include "verifier/db/db_driver.h"

#include <stdio.h>
#include <string.h>

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

typedef struct db *open_sqlite(const char *path, struct error *err);

static struct db *open_by(open_sqlite *open_file, const char *url, const char *password_file,
                          struct error *err)
{
    static const char sqlite[] = "sqlite:";
    if (starts_with(url, sqlite))
        return open_file(url + sizeof sqlite - 1, err);
    if (starts_with(url, "postgresql://") || starts_with(url, "postgres://"))
        return db_postgres_open(url, password_file, err);
    error_set(err, ERROR_PERMANENT, DB_UNSUPPORTED,
              "unsupported kind of database; expected a URL like sqlite:/path/to/file.db or "
              "postgresql://user@host:5432/name");
    return NULL;
}

bool db_has_one_writer(const char *url)
{
    return starts_with(url, "sqlite:");
}

struct db *db_open(const char *url, const char *password_file, struct error *err)
{
    return open_by(db_sqlite_open, url, password_file, err);
}

struct db *db_open_reading(const char *url, const char *password_file, struct error *err)
{
    return open_by(db_sqlite_open_reading, url, password_file, err);
}

enum db_kind db_kind(const struct db *db)
{
    return db->driver->kind;
}

bool db_is_broken(const struct db *db)
{
    return db->driver->is_broken(db);
}

void db_close(struct db *db)
{
    if (db)
        db->driver->close(db);
}

int db_begin(struct db *db, struct error *err)
{
    return db->driver->begin(db, err);
}

int db_begin_reading(struct db *db, struct error *err)
{
    return db->driver->begin_reading(db, err);
}

int db_commit(struct db *db, struct error *err)
{
    return db->driver->commit(db, err);
}

void db_rollback(struct db *db)
{
    db->driver->rollback(db);
}

int db_now(struct db *db, char text[WALL_TEXT_BYTES], struct error *err)
{
    DB_ROWS(rows) = db_query(db, "SELECT" DB_CLOCK, DB_NO_ARGS, err);
    if (!rows || db_next(rows, err) != 1)
        return -1;
    db_copy_text(rows, 0, text, WALL_TEXT_BYTES);
    return 0;
}

struct db_rows *db_query(struct db *db, const char *sql, const struct db_value *values,
                         size_t count, struct error *err)
{
    must(count <= DB_PARAMETERS_MAX);
    return db->driver->query(db, sql, values, count, err);
}

int db_next(struct db_rows *rows, struct error *err)
{
    return rows->db->driver->next(rows, err);
}

bool db_is_null(struct db_rows *rows, int column)
{
    return rows->db->driver->is_null(rows, column);
}

int64_t db_get_int(struct db_rows *rows, int column)
{
    return rows->db->driver->get_int(rows, column);
}

double db_get_real(struct db_rows *rows, int column)
{
    return rows->db->driver->get_real(rows, column);
}

const char *db_get_text(struct db_rows *rows, int column)
{
    return rows->db->driver->get_text(rows, column);
}

void db_copy_text(struct db_rows *rows, int column, char *out, size_t size)
{
    const char *text = db_get_text(rows, column);
    snprintf(out, size, "%s", text ? text : "");
}

void db_end(struct db_rows *rows)
{
    if (rows)
        rows->db->driver->end(rows);
}

void db_rows_cleanup(struct db_rows **rows)
{
    db_end(*rows);
}

int db_run(struct db *db, int64_t *touched, struct error *err, const char *sql,
           const struct db_value *values, size_t count)
{
    struct db_rows *rows = db_query(db, sql, values, count, err);
    if (!rows)
        return -1;
    int got;
    while ((got = db_next(rows, err)) == 1)
        ;
    db_end(rows);
    if (got == 0 && touched)
        *touched = db->driver->touched(db);
    return got;
}

int db_one_int(struct db *db, int64_t *value, struct error *err, const char *sql,
               const struct db_value *values, size_t count)
{
    DB_ROWS(rows) = db_query(db, sql, values, count, err);
    int got = rows ? db_next(rows, err) : -1;
    if (got == 1)
        *value = db_get_int(rows, 0);
    /* RETURNING: the statement has taken effect only once it has been stepped to its end. */
    int more = got;
    while (more == 1)
        more = db_next(rows, err);
    return more < 0 ? -1 : got;
}

/* ---- several statements in one go ---- */

int db_refuse(struct error *err)
{
    return error_set(err, ERROR_PERMANENT, DB_REFUSED, "a condition of the change does not hold");
}

int db_take_rows(struct db_rows *rows, struct db_step *step, struct error *err)
{
    int got;
    step->rows = 0;
    while ((got = db_next(rows, err)) == 1) {
        if (step->row)
            step->row(step, rows);
        step->rows++;
    }
    db_end(rows);
    return got;
}

static int run_step(struct db *db, struct db_step *step, struct error *err)
{
    struct db_rows *rows = db_query(db, step->sql, step->values, step->count, err);
    if (!rows || db_take_rows(rows, step, err) != 0)
        return -1;
    return step->needs_row && step->rows == 0 ? db_refuse(err) : 0;
}

static int open_frame(struct db *db, enum db_frame frame, struct error *err)
{
    switch (frame) {
    case DB_BEGIN:
        return db_begin(db, err);
    case DB_READ:
        return db_begin_reading(db, err);
    case DB_PLAIN:
    case DB_COMMIT:
        break;
    }
    return 0;
}

static int run_steps(struct db *db, enum db_frame frame, struct db_step *steps, size_t count,
                     struct error *err)
{
    if (open_frame(db, frame, err) != 0)
        return -1;
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++)
        result = run_step(db, &steps[i], err);
    if (frame == DB_READ)
        db_rollback(db);
    return result == 0 && frame == DB_COMMIT ? db_commit(db, err) : result;
}

int db_batch(struct db *db, enum db_frame frame, struct db_step *steps, size_t count,
             struct error *err)
{
    must(count <= DB_STEPS_MAX);
    for (size_t i = 0; i < count; i++)
        must(steps[i].count <= DB_PARAMETERS_MAX);
    return (db->driver->batch ? db->driver->batch : run_steps)(db, frame, steps, count, err);
}

struct db_step *db_add_step(struct db_steps *steps, const char *sql, const struct db_value *values,
                            size_t count)
{
    must(steps->count < DB_STEPS_MAX && count <= DB_STEP_VALUES_MAX - steps->value_count);
    struct db_value *own = &steps->values[steps->value_count];
    struct db_step *step = &steps->all[steps->count++];
    for (size_t i = 0; i < count; i++)
        own[i] = values[i];
    steps->value_count += count;
    *step = (struct db_step){.sql = sql, .values = own, .count = count};
    return step;
}

int db_script(struct db *db, const char *sql, struct error *err)
{
    return db->driver->script(db, sql, err);
}
