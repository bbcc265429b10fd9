/* db_driver: what a database driver implements. For db.c, db_group.c and the drivers only. */
#ifndef VERIFIER_DB_DRIVER_H
#define VERIFIER_DB_DRIVER_H

#include "verifier/db/db.h"

/* What a driver implements; a driver's connection and rows start with these. */
struct db_driver {
    enum db_kind kind;
    void (*close)(struct db *db);
    bool (*is_broken)(const struct db *db);
    int (*begin)(struct db *db, struct error *err);
    int (*begin_reading)(struct db *db, struct error *err);
    int (*commit)(struct db *db, struct error *err);
    void (*rollback)(struct db *db);
    struct db_rows *(*query)(struct db *db, const char *sql, const struct db_value *values,
                             size_t count, struct error *err);
    int (*next)(struct db_rows *rows, struct error *err);
    bool (*is_null)(struct db_rows *rows, int column);
    int64_t (*get_int)(struct db_rows *rows, int column);
    double (*get_real)(struct db_rows *rows, int column);
    const char *(*get_text)(struct db_rows *rows, int column);
    void (*end)(struct db_rows *rows);
    int64_t (*touched)(struct db *db); /* by the last statement that ended */
    int (*script)(struct db *db, const char *sql, struct error *err);
    /* NULL: one statement after the other. */
    int (*batch)(struct db *db, enum db_frame frame, struct db_step *steps, size_t count,
                 struct error *err);
};
struct db {
    const struct db_driver *driver;
};
struct db_rows {
    struct db *db;
};
/* All rows of a step's statement; ends them. */
int db_take_rows(struct db_rows *rows, struct db_step *step, struct error *err);
int db_refuse(struct error *err);
struct db *db_sqlite_open(const char *path, struct error *err);
struct db *db_sqlite_open_reading(const char *path, struct error *err);
/* For db_group.c, which knows that it has SQLite. */
int db_sqlite_begin_until(struct db *db, int64_t until_ms, struct error *err);
bool db_sqlite_is_open(const struct db *db); /* in a transaction that the database knows */
bool db_sqlite_is_idle(const struct db *db); /* no rows are open */
struct db *db_postgres_open(const char *url, const char *password_file, struct error *err);

#endif
