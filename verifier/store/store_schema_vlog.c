/* What must be there of a stock vlog server's tables before we work on them. They are read here and
 * never made or altered; a database that is not as it should be is refused with the name of what is
 * wrong, before any worker is told anything. */

#include "verifier/store/store_schema_vlog.h"

#include <stdio.h>
#include <string.h>

enum kind { WHOLE, REAL, WORDS, MOMENT, DOCUMENT, KIND_COUNT };

/* PostgreSQL's names of the types that will do; added: what a column is made as that has neither a
 * default nor a length of its own. */
static const struct {
    const char *wanted, *added;
    const char *types[5];
} kinds[KIND_COUNT] = {
    [WHOLE] = {"integer", "integer", {"int2", "int4", "int8"}},
    [REAL] = {"double precision", "double precision", {"float4", "float8"}},
    [WORDS] = {"text", "text", {"text", "varchar", "bpchar"}},
    [MOMENT] = {"timestamp with time zone", "timestamptz", {"timestamptz"}},
    [DOCUMENT] = {"text", "text", {"text", "varchar", "json", "jsonb"}},
};

/* A column that no statement of ours adds: a table without it is not the stock server's. */
static const char OF_THE_TABLE[] = "";

static const struct column {
    const char *table, *name;
    enum kind kind;
    const char *added; /* as vlog's migrations declare it; NULL: as its kind */
} columns[] = {
    {"videos", "id", WHOLE, OF_THE_TABLE},
    {"videos", "title", WORDS, OF_THE_TABLE},
    {"videos", "slug", WORDS, OF_THE_TABLE},
    {"videos", "duration", REAL, "double precision DEFAULT 0"},
    {"videos", "source_width", WHOLE, "integer DEFAULT 0"},
    {"videos", "source_height", WHOLE, "integer DEFAULT 0"},
    {"videos", "status", WORDS, "varchar(20) DEFAULT 'pending'"},
    {"videos", "error_message", WORDS, NULL},
    {"videos", "created_at", MOMENT, NULL},
    {"videos", "published_at", MOMENT, NULL},
    {"videos", "deleted_at", MOMENT, NULL},
    {"videos", "streaming_format", WORDS, "varchar(20) NOT NULL DEFAULT 'hls_ts'"},
    {"videos", "primary_codec", WORDS, "varchar(10) NOT NULL DEFAULT 'h264'"},
    {"video_qualities", "id", WHOLE, OF_THE_TABLE},
    {"video_qualities", "video_id", WHOLE, OF_THE_TABLE},
    {"video_qualities", "quality", WORDS, OF_THE_TABLE},
    {"video_qualities", "width", WHOLE, NULL},
    {"video_qualities", "height", WHOLE, NULL},
    {"video_qualities", "bitrate", WHOLE, NULL},
    {"transcoding_jobs", "id", WHOLE, OF_THE_TABLE},
    {"transcoding_jobs", "video_id", WHOLE, OF_THE_TABLE},
    {"transcoding_jobs", "worker_id", WORDS, "varchar(36)"},
    {"transcoding_jobs", "current_step", WORDS, NULL},
    {"transcoding_jobs", "progress_percent", WHOLE, "integer DEFAULT 0"},
    {"transcoding_jobs", "started_at", MOMENT, NULL},
    {"transcoding_jobs", "last_checkpoint", MOMENT, NULL},
    {"transcoding_jobs", "completed_at", MOMENT, NULL},
    {"transcoding_jobs", "claimed_at", MOMENT, NULL},
    {"transcoding_jobs", "claim_expires_at", MOMENT, NULL},
    {"transcoding_jobs", "attempt_number", WHOLE, "integer DEFAULT 1"},
    {"transcoding_jobs", "max_attempts", WHOLE, "integer DEFAULT 3"},
    {"transcoding_jobs", "last_error", WORDS, NULL},
    {"transcoding_jobs", "processed_by_worker_id", WORDS, "varchar(36)"},
    {"transcoding_jobs", "processed_by_worker_name", WORDS, NULL},
    {"transcoding_jobs", "retranscode_metadata", DOCUMENT, NULL},
    {"quality_progress", "id", WHOLE, OF_THE_TABLE},
    {"quality_progress", "job_id", WHOLE, OF_THE_TABLE},
    {"quality_progress", "quality", WORDS, OF_THE_TABLE},
    {"quality_progress", "status", WORDS, OF_THE_TABLE},
    {"quality_progress", "segments_total", WHOLE, NULL},
    {"quality_progress", "segments_completed", WHOLE, "integer DEFAULT 0"},
    {"quality_progress", "progress_percent", WHOLE, "integer DEFAULT 0"},
    {"quality_progress", "started_at", MOMENT, NULL},
    {"quality_progress", "completed_at", MOMENT, NULL},
    {"workers", "id", WHOLE, OF_THE_TABLE},
    {"workers", "worker_id", WORDS, OF_THE_TABLE},
    {"workers", "worker_name", WORDS, NULL},
    {"workers", "worker_type", WORDS, "varchar(20) DEFAULT 'remote'"},
    {"workers", "registered_at", MOMENT, NULL},
    {"workers", "last_heartbeat", MOMENT, NULL},
    {"workers", "status", WORDS, "varchar(20) DEFAULT 'active'"},
    {"workers", "current_job_id", WHOLE, NULL},
    {"workers", "capabilities", DOCUMENT, NULL},
    {"workers", "metadata", DOCUMENT, NULL},
    {"worker_api_keys", "id", WHOLE, OF_THE_TABLE},
    {"worker_api_keys", "worker_id", WHOLE, OF_THE_TABLE},
    {"worker_api_keys", "key_hash", WORDS, OF_THE_TABLE},
    {"worker_api_keys", "hash_version", WHOLE, "integer NOT NULL DEFAULT 1"},
    {"worker_api_keys", "key_prefix", WORDS, OF_THE_TABLE},
    {"worker_api_keys", "created_at", MOMENT, NULL},
    {"worker_api_keys", "expires_at", MOMENT, NULL},
    {"worker_api_keys", "revoked_at", MOMENT, NULL},
    {"worker_api_keys", "last_used_at", MOMENT, NULL},
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

/* The verifier inserts rows into these: it must know every column that has to be filled. */
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

enum { STATEMENT_BYTES = 256 };

/* What makes the column as it should be. "": nothing does, but vlog's own migrations. */
static void remedy(const struct column *column, const char *type, char text[STATEMENT_BYTES])
{
    const char *table = column->table, *name = column->name;
    text[0] = '\0';
    if (!type[0] && column->added != OF_THE_TABLE)
        snprintf(text, STATEMENT_BYTES, "ALTER TABLE %s ADD COLUMN %s %s;", table, name,
                 column->added ? column->added : kinds[column->kind].added);
    /* So vlog's migration 003 makes them, and its start-up does not. */
    if (strcmp(type, "timestamp") == 0 && column->kind == MOMENT)
        snprintf(text, STATEMENT_BYTES,
                 "ALTER TABLE %s ALTER COLUMN %s TYPE timestamptz USING %s AT TIME ZONE 'UTC';",
                 table, name, name);
}

static bool is_of_kind(enum kind kind, const char *type)
{
    for (size_t i = 0; kinds[kind].types[i]; i++)
        if (strcmp(kinds[kind].types[i], type) == 0)
            return true;
    return false;
}

static int has_table(struct db *db, const char *table, int64_t *there, struct error *err)
{
    return db_one_int(db, there, err,
                      "SELECT COUNT(*) FROM pg_catalog.pg_class"
                      " WHERE oid = pg_catalog.to_regclass($1)",
                      DB_ARGS(db_text(table)));
}

static int refuse_column(struct db *db, const struct column *column, const char *type,
                         struct error *err)
{
    int64_t there = 0;
    char statement[STATEMENT_BYTES];
    if (has_table(db, column->table, &there, err) < 0)
        return -1;
    if (!there)
        return error_set(err, ERROR_PERMANENT, DB_NO_SCHEMA,
                         "store.schema is \"vlog\", but this database has no table %s: it is not "
                         "a stock vlog server's, or vlog's migrations have not run",
                         column->table);
    remedy(column, type, statement);
    const char *way = statement[0] ? "; run as the owner of vlog's tables: "
                                   : ": run vlog's migrations (alembic upgrade head)";
    if (!type[0])
        return error_set(err, ERROR_PERMANENT, DB_NO_SCHEMA,
                         "store.schema is \"vlog\", but table %s has no column %s%s%s",
                         column->table, column->name, way, statement);
    return error_set(err, ERROR_PERMANENT, DB_NO_SCHEMA,
                     "store.schema is \"vlog\", but column %s.%s is of type %s, not %s%s%s",
                     column->table, column->name, type, kinds[column->kind].wanted,
                     statement[0] ? way : "", statement);
}

static int check_column(struct db *db, const struct column *column, struct error *err)
{
    char type[TYPE_BYTES];
    if (read_type(db, column->table, column->name, type, err) != 0)
        return -1;
    return is_of_kind(column->kind, type) ? 0 : refuse_column(db, column, type, err);
}

int store_schema_print_remedies(struct db *db, FILE *out, struct error *err)
{
    char type[TYPE_BYTES], statement[STATEMENT_BYTES];
    const char *heading = "Run all of this as the owner of vlog's tables:\n";
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        int64_t there = 0;
        if (has_table(db, columns[i].table, &there, err) < 0 ||
            read_type(db, columns[i].table, columns[i].name, type, err) != 0)
            return -1;
        if (!there || is_of_kind(columns[i].kind, type))
            continue;
        remedy(&columns[i], type, statement);
        if (!statement[0])
            continue;
        fprintf(out, "%s    %s\n", heading, statement);
        heading = "";
    }
    return 0;
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
                             "store.schema is \"vlog\", but column %s.%s is required and "
                             "unknown to Tailslate: this vlog is newer than Tailslate",
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
                     "the user in store.url lacks the privilege %s; run as the owner of vlog's "
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
                         "store.schema \"vlog\" needs a stock vlog server's PostgreSQL database");
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
