/* What of a stock database is refused, and what is left as it is. */
#include "lib/cleanup.h"
#include "process.h"
#include "store_rig.h"
#include "verifier/db/db.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* Every column, constraint and index of what is not ours. */
#define STOCK_TABLES                                                                               \
    "SELECT md5(string_agg(line, ',' ORDER BY line)) FROM ("                                       \
    "SELECT table_name || column_name || data_type || is_nullable || COALESCE(column_default, '')" \
    " AS line FROM information_schema.columns WHERE table_schema = 'public'"                       \
    " UNION ALL SELECT conrelid::regclass || pg_get_constraintdef(oid) FROM pg_constraint"         \
    " WHERE connamespace = 'public'::regnamespace"                                                 \
    " UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public') lines"                \
    " WHERE line !~ "                                                                              \
    "'^[^(]*(completions|job_epochs|failures|held_jobs|job_holders|job_queue|directories|fleet|"   \
    "sweeps|webhook_events|schema_version)'"

Test(vlog_tables, only_ours_are_made_and_a_second_start_makes_none)
{
    struct rig *rig = rig_new_bare();
    struct error err;
    TEXT(before) = rig_text(rig, STOCK_TABLES);
    TEXT(tables) = rig_text(rig, "SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'public'");
    for (int i = 0; i < 2; i++) {
        struct store *store = rig_open(rig, rig->url, &err);
        cr_assert(store, "%s", err.message);
        store_close(store);
        TEXT(after) = rig_text(rig, STOCK_TABLES);
        cr_expect_str_eq(after, before);
        cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'public'"),
                     strtoll(tables, NULL, 10) + 11);
    }
    rig_free(rig);
}

static void expect_refused(struct rig *rig, const char *what)
{
    struct error err;
    struct store *store = rig_open(rig, rig->url, &err);
    cr_assert_null(store, "%s", what);
    cr_expect_eq(err.class, ERROR_PERMANENT);
    cr_expect(strstr(err.message, what), "%s: %s", what, err.message);
    cr_expect_eq(error_exit_status(&err), 78);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM pg_tables WHERE tablename = 'completions'"),
                 0);
}

Test(vlog_tables, what_is_missing_or_of_another_kind_is_named)
{
    static const char *const spoilers[][2] = {
        {"DROP TABLE quality_progress", "no table quality_progress"},
        {"ALTER TABLE worker_api_keys DROP COLUMN hash_version",
         "table worker_api_keys has no column hash_version"},
        {"ALTER TABLE transcoding_jobs DROP COLUMN processed_by_worker_id",
         "table transcoding_jobs has no column processed_by_worker_id"},
        {"ALTER TABLE workers ALTER COLUMN last_heartbeat TYPE timestamp",
         "column workers.last_heartbeat is of type timestamp, not timestamp with time zone"},
        {"ALTER TABLE transcoding_jobs ALTER COLUMN claimed_at TYPE text",
         "column transcoding_jobs.claimed_at is of type text"},
        {"ALTER TABLE videos ALTER COLUMN source_width TYPE text",
         "column videos.source_width is of type text, not integer"},
        {"ALTER TABLE video_qualities ADD COLUMN checksum text NOT NULL",
         "column video_qualities.checksum is required and unknown to Tailslate"},
        {"ALTER TABLE videos DROP COLUMN slug CASCADE",
         "table videos has no column slug: run vlog's migrations (alembic upgrade head)"},
        {"ALTER TABLE videos DROP COLUMN category_id", "store.schema \"own\""},
    };
    for (size_t i = 0; i < sizeof spoilers / sizeof spoilers[0]; i++) {
        struct rig *rig = rig_new_bare();
        rig_sql(rig, spoilers[i][0]);
        expect_refused(rig, spoilers[i][1]);
        rig_free(rig);
    }
}

/* The statement that the refusal ends with; owned, "" where there is none. */
static char *statement_of(struct rig *rig)
{
    struct error err;
    struct store *store = rig_open(rig, rig->url, &err);
    store_close(store);
    const char *statement = store ? NULL : strstr(err.message, "ALTER TABLE ");
    return must_strdup(statement ? statement : "");
}

Test(vlog_tables, a_column_that_is_missing_is_added_by_the_statement_that_the_refusal_ends_with)
{
    static const char *const columns[][2] = {{"worker_api_keys", "hash_version"},
                                             {"transcoding_jobs", "processed_by_worker_id"},
                                             {"transcoding_jobs", "attempt_number"},
                                             {"videos", "streaming_format"},
                                             {"videos", "primary_codec"},
                                             {"transcoding_jobs", "claim_expires_at"},
                                             {"transcoding_jobs", "last_checkpoint"},
                                             {"workers", "capabilities"},
                                             {"transcoding_jobs", "retranscode_metadata"}};
    struct rig *rig = rig_new_bare();
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        TEXT(drop) = must_printf("ALTER TABLE %s DROP COLUMN %s", columns[i][0], columns[i][1]);
        rig_sql(rig, drop);
        TEXT(add) = statement_of(rig);
        cr_assert(strstr(add, columns[i][1]), "%s: %s", columns[i][1], add);
        rig_sql(rig, add);
        TEXT(nothing) = statement_of(rig);
        cr_expect_str_eq(nothing, "");
    }
    rig_free(rig);
}

Test(vlog_tables, tables_that_migrations_alone_have_made_are_brought_in_order_by_what_is_said)
{
    struct rig *rig = rig_new_bare();
    int statements = 0;
    rig_sql(rig, "SELECT stock_tables_as_migrated()");
    for (;; statements++) {
        TEXT(statement) = statement_of(rig);
        if (!statement[0])
            break;
        cr_assert_lt(statements, 8);
        rig_sql(rig, statement);
    }
    cr_expect_eq(statements, 8);
    struct error err;
    rig->store = rig_open(rig, rig->url, &err);
    cr_expect(rig->store, "%s", err.message);
    rig_free(rig);
}

/* What `check` prints, and what docs/BESIDE_VLOG.md says, is all of it at once. */
Test(vlog_tables, all_statements_at_once_are_printed_and_documented)
{
    struct rig *rig = rig_new_bare();
    struct store_settings settings = {.url = rig->url, .schema = STORE_SCHEMA_VLOG};
    TEXT(printed) = NULL;
    size_t size;
    rig_sql(rig, "SELECT stock_tables_as_migrated()");
    FILE *out = open_memstream(&printed, &size);
    store_print_remedies(&settings, out);
    fclose(out);
    TEXT(document) = file_read(TAILSLATE_SOURCE_DIR "/docs/BESIDE_VLOG.md");
    int lines = 0;
    char *rest = NULL;
    for (char *line = strtok_r(printed, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        const char *statement = strstr(line, "ALTER TABLE ");
        cr_expect_eq(statement != NULL, lines > 0, "%s", line);
        lines++;
        if (!statement)
            continue;
        cr_expect(strstr(document, statement), "not documented: %s", statement);
        rig_sql(rig, statement);
    }
    cr_expect_eq(lines, 1 + 8);
    struct error err;
    rig->store = rig_open(rig, rig->url, &err);
    cr_expect(rig->store, "%s", err.message);
    rig_free(rig);
}

Test(vlog_tables, what_a_later_stock_server_adds_with_a_default_is_no_concern)
{
    struct rig *rig = rig_new_bare();
    struct error err;
    rig_sql(rig, "ALTER TABLE video_qualities ADD COLUMN score integer NOT NULL DEFAULT 0");
    rig_sql(rig, "ALTER TABLE videos ADD COLUMN owner text NOT NULL");
    rig_sql(rig, "ALTER TABLE workers ALTER COLUMN metadata TYPE jsonb USING metadata::jsonb");
    rig->store = rig_open(rig, rig->url, &err);
    cr_expect(rig->store, "%s", err.message);
    rig_free(rig);
}

Test(vlog_tables, a_stock_database_is_no_place_for_our_own_schema)
{
    struct rig *rig = rig_new_bare();
    struct store_settings settings = {.url = rig->url, .schema = STORE_SCHEMA_OWN};
    struct error err;
    cr_assert_null(store_open(&settings, &err));
    cr_expect(strstr(err.message, "stock vlog server's database"), "%s", err.message);
    cr_expect_eq(error_exit_status(&err), 78);
    rig_free(rig);
}

static void expect_right_missing(struct rig *rig, const char *url, const char *what)
{
    struct error err;
    cr_assert_null(rig_open(rig, url, &err), "%s", what);
    cr_expect(strstr(err.message, what), "%s: %s", what, err.message);
    cr_expect_eq(error_exit_status(&err), 78);
}

Test(vlog_tables, a_user_without_the_rights_is_told_which)
{
    struct rig *rig = rig_new_bare();
    rig_sql(rig, "DO $$ BEGIN CREATE ROLE tailslate_guest LOGIN; EXCEPTION WHEN duplicate_object"
                 " THEN NULL; END $$");
    rig_sql(rig, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO tailslate_guest");
    rig_sql(rig, "GRANT UPDATE ON videos, transcoding_jobs, workers TO tailslate_guest");
    const char *at = strchr(rig->url, '@');
    cr_assert(at, "%s", rig->url);
    TEXT(url) = must_printf("postgresql://tailslate_guest%s", at);
    /* Each message ends with what the owner is to run. */
    static const char *const missing[][2] = {
        {"lacks the privilege INSERT on the table video_qualities",
         "GRANT INSERT ON video_qualities TO tailslate_guest;"},
        {"lacks the privilege DELETE on the table quality_progress",
         "GRANT DELETE ON quality_progress TO tailslate_guest;"},
        {"lacks the privilege USAGE on the sequence of video_qualities.id",
         "GRANT USAGE ON SEQUENCE public.video_qualities_id_seq TO tailslate_guest;"},
    };
    for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++) {
        expect_right_missing(rig, url, missing[i][0]);
        expect_right_missing(rig, url, missing[i][1]);
        rig_sql(rig, missing[i][1]);
    }
    expect_right_missing(rig, url, "permission denied for schema public");
    rig_free(rig);
}

static int place(void *ctx, int64_t video_id, struct error *err)
{
    (void)ctx, (void)video_id, (void)err;
    return 0;
}

Test(vlog_tables, no_video_is_ever_added)
{
    struct rig *rig = rig_new();
    struct store_new_job job = {.slug = "film", .base = "film", .place = place};
    struct error err;
    cr_expect_eq(store_job_add(rig->store, &job, &err), -1);
    cr_expect_eq(err.class, ERROR_PERMANENT);
    cr_expect(strstr(err.message, "stock vlog server"), "%s", err.message);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM videos"), 0);
    rig_free(rig);
}
