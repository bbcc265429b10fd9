/* What must be there of a stock vlog server's tables before we work on them. They are read here and
 * never made or altered; a database that is not as it should be is refused with the name of what is
 * wrong, before any worker is told anything. */
#include "store_schema.h"

#include <stdio.h>
#include <string.h>

enum kind { WHOLE, REAL, WORDS, MOMENT, DOCUMENT, KIND_COUNT };

/* PostgreSQL's names of the types that will do. */
static const struct {
    const char *wanted;
    const char *types[5];
} kinds[KIND_COUNT] = {
    [WHOLE] = {"integer", {"int2", "int4", "int8"}},
    [REAL] = {"double precision", {"float4", "float8"}},
    [WORDS] = {"text", {"text", "varchar", "bpchar"}},
    [MOMENT] = {"timestamp with time zone", {"timestamptz"}},
    [DOCUMENT] = {"text", {"text", "varchar", "json", "jsonb"}},
};

static const struct column {
    const char *table, *name;
    enum kind kind;
} columns[] = {
    {"videos", "id", WHOLE},
    {"videos", "title", WORDS},
    {"videos", "slug", WORDS},
    {"videos", "duration", REAL},
    {"videos", "source_width", WHOLE},
    {"videos", "source_height", WHOLE},
    {"videos", "status", WORDS},
    {"videos", "error_message", WORDS},
    {"videos", "created_at", MOMENT},
    {"videos", "published_at", MOMENT},
    {"videos", "deleted_at", MOMENT},
    {"videos", "streaming_format", WORDS},
    {"videos", "primary_codec", WORDS},
    {"video_qualities", "id", WHOLE},
    {"video_qualities", "video_id", WHOLE},
    {"video_qualities", "quality", WORDS},
    {"video_qualities", "width", WHOLE},
    {"video_qualities", "height", WHOLE},
    {"video_qualities", "bitrate", WHOLE},
    {"transcoding_jobs", "id", WHOLE},
    {"transcoding_jobs", "video_id", WHOLE},
    {"transcoding_jobs", "worker_id", WORDS},
    {"transcoding_jobs", "current_step", WORDS},
    {"transcoding_jobs", "progress_percent", WHOLE},
    {"transcoding_jobs", "started_at", MOMENT},
    {"transcoding_jobs", "last_checkpoint", MOMENT},
    {"transcoding_jobs", "completed_at", MOMENT},
    {"transcoding_jobs", "claimed_at", MOMENT},
    {"transcoding_jobs", "claim_expires_at", MOMENT},
    {"transcoding_jobs", "attempt_number", WHOLE},
    {"transcoding_jobs", "max_attempts", WHOLE},
    {"transcoding_jobs", "last_error", WORDS},
    {"transcoding_jobs", "processed_by_worker_id", WORDS},
    {"transcoding_jobs", "processed_by_worker_name", WORDS},
    {"transcoding_jobs", "retranscode_metadata", DOCUMENT},
    {"quality_progress", "id", WHOLE},
    {"quality_progress", "job_id", WHOLE},
    {"quality_progress", "quality", WORDS},
    {"quality_progress", "status", WORDS},
    {"quality_progress", "segments_total", WHOLE},
    {"quality_progress", "segments_completed", WHOLE},
    {"quality_progress", "progress_percent", WHOLE},
    {"quality_progress", "started_at", MOMENT},
    {"quality_progress", "completed_at", MOMENT},
    {"workers", "id", WHOLE},
    {"workers", "worker_id", WORDS},
    {"workers", "worker_name", WORDS},
    {"workers", "worker_type", WORDS},
    {"workers", "registered_at", MOMENT},
    {"workers", "last_heartbeat", MOMENT},
    {"workers", "status", WORDS},
    {"workers", "current_job_id", WHOLE},
    {"workers", "capabilities", DOCUMENT},
    {"workers", "metadata", DOCUMENT},
    {"worker_api_keys", "id", WHOLE},
    {"worker_api_keys", "worker_id", WHOLE},
    {"worker_api_keys", "key_hash", WORDS},
    {"worker_api_keys", "hash_version", WHOLE},
    {"worker_api_keys", "key_prefix", WORDS},
    {"worker_api_keys", "created_at", MOMENT},
    {"worker_api_keys", "expires_at", MOMENT},
    {"worker_api_keys", "revoked_at", MOMENT},
    {"worker_api_keys", "last_used_at", MOMENT},
};
enum { COLUMN_COUNT = sizeof columns / sizeof columns[0], TYPE_BYTES = 64 };

/* What a completion and a failure do to them. The other calls need more; an operator who routes
 * those here grants it. */
static const struct right {
    const char *table, *privilege;
} rights[] = {
    {"videos", "SELECT"},           {"videos", "UPDATE"},           {"video_qualities", "SELECT"},
    {"video_qualities", "INSERT"},  {"transcoding_jobs", "SELECT"}, {"transcoding_jobs", "UPDATE"},
    {"quality_progress", "SELECT"}, {"quality_progress", "DELETE"}, {"workers", "SELECT"},
    {"workers", "UPDATE"},          {"worker_api_keys", "SELECT"},
};

/* Rows of ours stand in these: whatever must be filled there, we must know. */
static const char *const filled[] = {"video_qualities", "quality_progress", "workers",
                                     "worker_api_keys"};

/* *type "" where there is no such column. */
static int read_type(struct db *db, const char *table, const char *name, char type[TYPE_BYTES],
                     struct error *err)
{
    DB_ROWS(rows) = db_query(db,
                             "SELECT t.typname FROM pg_catalog.pg_attribute a"
                             " JOIN pg_catalog.pg_type t ON t.oid = a.atttypid"
                             " WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attname = $2"
                             " AND a.attnum > 0 AND NOT a.attisdropped",
                             DB_ARGS(db_text(table), db_text(name)), err);
    int got = rows ? db_next(rows, err) : -1;
    type[0] = '\0';
    if (got == 1)
        db_copy_text(rows, 0, type, TYPE_BYTES);
    return got < 0 ? -1 : 0;
}

static int no_such_column(struct db *db, const struct column *column, struct error *err)
{
    int64_t there = 0;
    if (db_one_int(db, &there, err,
                   "SELECT COUNT(*) FROM pg_catalog.pg_class"
                   " WHERE oid = pg_catalog.to_regclass($1)",
                   DB_ARGS(db_text(column->table))) < 0)
        return -1;
    if (!there)
        return error_set(err, ERROR_PERMANENT, DB_NO_SCHEMA,
                         "store.schema is \"vlog\", but this database has no table %s: it is no "
                         "stock vlog server's",
                         column->table);
    return error_set(err, ERROR_PERMANENT, DB_NO_SCHEMA,
                     "store.schema is \"vlog\", but table %s has no column %s: this vlog is older "
                     "than Tailslate knows; run its migrations",
                     column->table, column->name);
}

static int check_column(struct db *db, const struct column *column, struct error *err)
{
    char type[TYPE_BYTES];
    if (read_type(db, column->table, column->name, type, err) != 0)
        return -1;
    if (!type[0])
        return no_such_column(db, column, err);
    for (size_t i = 0; kinds[column->kind].types[i]; i++)
        if (strcmp(kinds[column->kind].types[i], type) == 0)
            return 0;
    return error_set(err, ERROR_PERMANENT, DB_NO_SCHEMA,
                     "store.schema is \"vlog\", but column %s.%s is of type %s, not %s",
                     column->table, column->name, type, kinds[column->kind].wanted);
}

static bool is_known(const char *table, const char *name)
{
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        if (strcmp(columns[i].table, table) == 0 && strcmp(columns[i].name, name) == 0)
            return true;
    return false;
}

/* A column that a later stock server has, that may not be null and has no default. */
static int check_filled(struct db *db, const char *table, struct error *err)
{
    DB_ROWS(rows) = db_query(db,
                             "SELECT attname FROM pg_catalog.pg_attribute"
                             " WHERE attrelid = pg_catalog.to_regclass($1) AND attnum > 0"
                             " AND NOT attisdropped AND attnotnull AND NOT atthasdef"
                             " AND attidentity = ''",
                             DB_ARGS(db_text(table)), err);
    int got = rows ? 1 : -1;
    while (got == 1 && (got = db_next(rows, err)) == 1)
        if (!is_known(table, db_get_text(rows, 0)))
            return error_set(err, ERROR_PERMANENT, DB_NO_SCHEMA,
                             "store.schema is \"vlog\", but column %s.%s must be filled and "
                             "Tailslate does not know it: this vlog is newer than Tailslate",
                             table, db_get_text(rows, 0));
    return got;
}

/* sql: 1, "", or 0 and what the owner of vlog's tables is to run. */
static int check_grant(struct db *db, const char *sql, const struct db_value *values, size_t count,
                       const char *what, struct error *err)
{
    DB_ROWS(rows) = db_query(db, sql, values, count, err);
    if (!rows || db_next(rows, err) != 1)
        return -1;
    if (db_get_int(rows, 0))
        return 0;
    return error_set(err, ERROR_PERMANENT, DB_NO_SCHEMA,
                     "the database's user of store.url has no right to %s; as the owner of vlog's "
                     "tables: %s;",
                     what, db_get_text(rows, 1));
}

static int check_right(struct db *db, const struct right *right, struct error *err)
{
    char what[128];
    snprintf(what, sizeof what, "%s on the table %s", right->privilege, right->table);
    return check_grant(db,
                       "SELECT CASE WHEN pg_catalog.has_table_privilege("
                       "pg_catalog.to_regclass($1), $2) THEN 1 ELSE 0 END,"
                       " 'GRANT ' || $2 || ' ON ' || $1 || ' TO ' ||"
                       " pg_catalog.quote_ident(current_user)",
                       DB_ARGS(db_text(right->table), db_text(right->privilege)), what, err);
}

/* The number of a row that we insert. Without a sequence of its own (identity): nothing to ask. */
static int check_sequence(struct db *db, struct error *err)
{
    return check_grant(db,
                       "SELECT CASE WHEN NOT pg_catalog.has_sequence_privilege(s.name, 'USAGE')"
                       " THEN 0 ELSE 1 END, 'GRANT USAGE ON SEQUENCE ' || s.name || ' TO ' ||"
                       " pg_catalog.quote_ident(current_user) FROM (SELECT"
                       " pg_catalog.pg_get_serial_sequence('video_qualities', 'id') AS name) s",
                       DB_NO_ARGS, "USAGE on the sequence of video_qualities.id", err);
}

int store_schema_is_stock(struct db *db, bool *is_stock, struct error *err)
{
    char type[TYPE_BYTES] = "";
    /* A column that every stock server has, and we never do. */
    if (db_kind(db) == DB_POSTGRESQL && read_type(db, "videos", "category_id", type, err) != 0)
        return -1;
    *is_stock = type[0] != '\0';
    return 0;
}

int store_schema_check_stock(struct db *db, struct error *err)
{
    bool is_stock;
    if (db_kind(db) != DB_POSTGRESQL)
        return error_set(err, ERROR_PERMANENT, DB_NO_SCHEMA,
                         "store.schema \"vlog\" is a stock vlog server's PostgreSQL database");
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        if (check_column(db, &columns[i], err) != 0)
            return -1;
    if (store_schema_is_stock(db, &is_stock, err) != 0)
        return -1;
    if (!is_stock)
        return error_set(err, ERROR_PERMANENT, DB_NO_SCHEMA,
                         "store.schema is \"vlog\", but table videos has no column category_id: "
                         "these tables were made by Tailslate for store.schema \"own\"");
    for (size_t i = 0; i < sizeof filled / sizeof filled[0]; i++)
        if (check_filled(db, filled[i], err) != 0)
            return -1;
    for (size_t i = 0; i < sizeof rights / sizeof rights[0]; i++)
        if (check_right(db, &rights[i], err) != 0)
            return -1;
    return check_sequence(db, err);
}
