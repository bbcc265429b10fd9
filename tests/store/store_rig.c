#include "store_rig.h"

#include "base/clock.h"
#include "lib/cleanup.h"
#include "postgres.h"
#include "verifier/http/complete.h"
#include "verifier/store/store_claim.h"
#include "verifier/store/store_key.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

static int missing(void *ctx, const char *slug, tailslate_quality_set named,
                   tailslate_quality_set *absent, struct error *err)
{
    (void)slug, (void)err;
    struct rig *rig = ctx;
    if (rig->at_the_files)
        rig->at_the_files(rig);
    *absent = named & rig->missing;
    return 0;
}

static int discard(void *ctx, const char *slug, tailslate_quality_set discarded, struct error *err)
{
    (void)slug, (void)err;
    struct rig *rig = ctx;
    rig->discarded = discarded;
    rig->discards++;
    return 0;
}

static void source_name(void *ctx, int64_t video_id, char name[FILENAME_BYTES])
{
    const struct rig *rig = ctx;
    snprintf(name, FILENAME_BYTES, "%d.mp4", (int)video_id);
    if (rig->has_no_source)
        name[0] = '\0';
}

static bool directory_exists(void *ctx, const char *slug)
{
    const struct rig *rig = ctx;
    return rig->directory && strcmp(rig->directory, slug) == 0;
}

static int find_source(void *ctx, int64_t video_id, struct error *err)
{
    const struct rig *rig = ctx;
    if (rig->source_code == 0 || (rig->source_of && rig->source_of != video_id))
        return 0;
    return error_set(err, ERROR_TEMPORARY, rig->source_code, "source %d.mp4: code %d",
                     (int)video_id, rig->source_code);
}

static int remove_video(void *ctx, int64_t video_id, const char *slug, struct error *err)
{
    (void)video_id, (void)slug, (void)err;
    ((struct rig *)ctx)->removed++;
    return 0;
}

struct store_worker rig_add_worker(struct rig *rig, const char *name)
{
    struct store_registration registration = {.name = name, .type = "remote"};
    struct store_worker worker;
    struct error err;
    enum store_key found;
    cr_assert_eq(store_worker_register(rig->store, &registration, &err), 0);
    cr_assert_eq(store_worker_by_key(rig->store, registration.api_key, &found, &worker, &err), 0);
    cr_assert_eq(found, STORE_KEY_GOOD);
    return worker;
}

static char *new_url(struct rig *rig)
{
    const char *store = getenv("TAILSLATE_TEST_STORE"), *place = getenv("TAILSLATE_TEST_POSTGRES");
    if (!store || strcmp(store, "sqlite") == 0) {
        rig->path = must_printf("%s/verifier.db", rig->dir);
        return must_printf("sqlite:%s", rig->path);
    }
    cr_assert(place, "server.c has started no PostgreSQL");
    if (strcmp(store, "pgbouncer") == 0) { /* which cannot pass the name of a schema on */
        rig->direct = postgres_new_database(place);
        return postgres_url_at(rig->direct, atoi(getenv("TAILSLATE_TEST_PGBOUNCER")));
    }
    if (strcmp(store, "postgresql") == 0)
        return getenv("TAILSLATE_TEST_OWN_DATABASE") ? postgres_new_database(place)
                                                     : postgres_new_schema(place);
    cr_assert_str_eq(store, "vlog");
    rig->schema = STORE_SCHEMA_VLOG;
    return postgres_new_stock_database(place);
}

struct store *rig_open(struct rig *rig, const char *url, struct error *err)
{
    struct store_settings settings = {
        .url = url,
        .schema = rig->schema,
        .claim_ms = rig->claim_ms,
        .offline_ms = rig->offline_ms,
        .grace_ms = rig->grace_ms,
        .monitored = rig->monitored,
        .ahead_ms = &rig->ahead_ms,
        .retry_delay_ms = rig->retry_delay_ms,
        .events = rig->events,
        .files = {rig, missing, discard, source_name, directory_exists, remove_video, find_source}};
    return store_open(&settings, err);
}

struct rig *rig_new_bare(void)
{
    struct rig *rig = must_calloc(1, sizeof *rig);
    strcpy(rig->dir, "/tmp/tailslate-store-XXXXXX");
    cr_assert(mkdtemp(rig->dir));
    rig->url = new_url(rig);
    rig->claim_ms = rig->offline_ms = RIG_CLAIM_MS;
    return rig;
}

static struct rig *opened(struct rig *rig)
{
    struct error err;
    rig->store = rig_open(rig, rig->url, &err);
    cr_assert(rig->store, "%s", err.message);
    store_gate_open(&rig->gate);
    rig->anna = rig_add_worker(rig, "anna");
    rig->bert = rig_add_worker(rig, "bert");
    return rig;
}

struct rig *rig_new_with(int64_t claim_ms, int64_t offline_ms)
{
    struct rig *rig = rig_new_bare();
    rig->claim_ms = claim_ms;
    rig->offline_ms = offline_ms;
    return opened(rig);
}

struct rig *rig_new_delayed(int64_t retry_delay_ms)
{
    struct rig *rig = rig_new_bare();
    rig->retry_delay_ms = retry_delay_ms;
    return opened(rig);
}

struct rig *rig_new_telling(unsigned events)
{
    struct rig *rig = rig_new_bare();
    rig->events = events;
    return opened(rig);
}

struct rig *rig_new(void)
{
    return rig_new_with(RIG_CLAIM_MS, RIG_CLAIM_MS);
}

struct rig *rig_new_claimed(void)
{
    struct rig *rig = rig_new();
    rig->job = rig_add_job(rig, "film");
    cr_assert_eq(rig_claim(rig, &rig->anna, 0).job_id, rig->job);
    return rig;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    (void)status, (void)kind, (void)at;
    return remove(path);
}

void rig_free(struct rig *rig)
{
    store_gate_close(&rig->gate);
    store_close(rig->store);
    if (rig->beside)
        postgres_leave(rig->beside);
    nftw(rig->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(rig->path);
    free(rig->direct);
    free(rig->url);
    free(rig);
}

static int place(void *ctx, int64_t video_id, struct error *err)
{
    (void)ctx, (void)video_id, (void)err;
    return 0;
}

/* As the stock server does it, whose tables these are. */
static int64_t upload_there(struct rig *rig, const char *slug)
{
    TEXT(sql) = slug ? must_printf("SELECT stock_add_job('%s')", slug)
                     : must_printf("SELECT stock_add_job('film-' || COUNT(*)) FROM videos");
    return rig_number(rig, sql);
}

int64_t rig_add_job(struct rig *rig, const char *slug)
{
    if (rig->schema == STORE_SCHEMA_VLOG)
        return upload_there(rig, slug);
    struct store_new_job job = {.slug = slug, .base = "film", .place = place};
    struct error err;
    cr_assert_eq(store_job_add(rig->store, &job, &err), 0, "%s", err.message);
    return job.job_id;
}

struct message_claim rig_claim(struct rig *rig, const struct store_worker *worker, int64_t job_id)
{
    struct message_claim claim;
    struct error err;
    cr_assert_eq(store_claim(rig->store, worker, job_id, &claim, &err), 0, "%s", err.message);
    return claim;
}

struct store_caller rig_caller(const struct store_worker *worker, int64_t epoch)
{
    return (struct store_caller){worker, epoch};
}

struct tailslate_completion rig_completion(int64_t job_id, int token)
{
    struct tailslate_completion completion = {.renditions = {{.quality = TAILSLATE_QUALITY_720P,
                                                              .width = 1280,
                                                              .height = 720,
                                                              .bitrate_kbit = 2500}},
                                              .rendition_count = 1,
                                              .duration = 12.5,
                                              .source_width = 1920,
                                              .source_height = 1080,
                                              .format = TAILSLATE_FORMAT_CMAF,
                                              .codec = TAILSLATE_CODEC_H264};
    if (token)
        snprintf(completion.token, sizeof completion.token, "%lld-00000000-0000-4000-8000-%012d",
                 (long long)job_id, token);
    return completion;
}

struct tailslate_result rig_complete(struct rig *rig, struct store_caller caller, int64_t job_id,
                                     const struct tailslate_completion *completion)
{
    struct tailslate_result result;
    struct error err;
    cr_assert_eq(
        complete_job(rig->store, rig->gate.gate, &caller, job_id, completion, &result, &err), 0,
        "%s", err.message);
    return result;
}

enum tailslate_verdict rig_present(struct rig *rig, struct store_caller caller, int64_t job_id,
                                   int token)
{
    struct tailslate_completion completion = rig_completion(job_id, token);
    return rig_complete(rig, caller, job_id, &completion).verdict;
}

struct store_failed rig_fail(struct rig *rig, struct store_caller caller, int64_t job_id,
                             bool retry)
{
    struct message_failure failure = {.reason = "it broke", .retry = retry};
    struct store_failed result;
    struct error err;
    cr_assert_eq(store_fail(rig->store, &caller, job_id, &failure, &result, &err), 0, "%s",
                 err.message);
    return result;
}

struct message_progress rig_half_way(void)
{
    return (struct message_progress){.step = WORK_TRANSCODE,
                                     .percent = 50,
                                     .duration = TAILSLATE_ABSENT_NUMBER,
                                     .source_width = TAILSLATE_ABSENT_INT,
                                     .source_height = TAILSLATE_ABSENT_INT};
}

enum tailslate_standing rig_progress(struct rig *rig, struct store_caller caller, int64_t job_id)
{
    struct message_progress progress = rig_half_way();
    enum tailslate_standing standing;
    char expires[WALL_TEXT_BYTES];
    struct error err;
    cr_assert_eq(store_progress(rig->store, &caller, job_id, &progress, &standing, expires, &err),
                 0, "%s", err.message);
    return standing;
}

enum store_release rig_release(struct rig *rig, int64_t job_id)
{
    enum store_release released;
    struct error err;
    cr_assert_eq(store_job_release(rig->store, job_id, &released, &err), 0, "%s", err.message);
    return released;
}

void rig_beat(struct rig *rig, struct store_worker *worker, enum worker_status status,
              bool jobs_known, int64_t job_id)
{
    struct message_heartbeat heartbeat = {.status = status, .jobs_known = jobs_known};
    struct error err;
    if (job_id)
        heartbeat.jobs[heartbeat.job_count++] = job_id;
    cr_assert_eq(store_heartbeat(rig->store, worker, &heartbeat, &err), 0, "%s", err.message);
}

int rig_publish(void *count, struct error *err)
{
    (void)err;
    ++*(int *)count;
    return 0;
}

static sqlite3 *open_beside(struct rig *rig)
{
    sqlite3 *db;
    cr_assert_eq(sqlite3_open(rig->path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    return db;
}

static void run_beside(sqlite3 *db, const char *sql)
{
    cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK, "%s: %s", sql,
                 sqlite3_errmsg(db));
}

/* The test's own sessions, which keep locks and settings. */
static const char *url_beside(const struct rig *rig)
{
    return rig->direct ? rig->direct : rig->url;
}

static char *ask_beside(struct rig *rig, const char *sql)
{
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&one_at_a_time);
    if (!rig->beside)
        rig->beside = postgres_enter(url_beside(rig), "SELECT 1");
    char *text = postgres_ask_again(rig->beside, sql);
    pthread_mutex_unlock(&one_at_a_time);
    return text;
}

void rig_sql(struct rig *rig, const char *sql)
{
    if (!rig->path) {
        free(ask_beside(rig, sql));
        return;
    }
    sqlite3 *db = open_beside(rig);
    run_beside(db, sql);
    sqlite3_close(db);
}

static char *sqlite_ask(struct rig *rig, const char *sql)
{
    sqlite3 *db = open_beside(rig);
    sqlite3_stmt *statement;
    cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK, "%s", sql);
    cr_assert_eq(sqlite3_step(statement), SQLITE_ROW, "%s", sql);
    const char *text = (const char *)sqlite3_column_text(statement, 0);
    char *copy = must_strdup(text ? text : "");
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return copy;
}

char *rig_text(struct rig *rig, const char *sql)
{
    return rig->path ? sqlite_ask(rig, sql) : ask_beside(rig, sql);
}

void rig_expect(struct rig *rig, const char *wanted, const char *sql)
{
    TEXT(text) = rig_text(rig, sql);
    cr_expect_str_eq(text, wanted, "%s: %s", sql, text);
}

int64_t rig_number(struct rig *rig, const char *sql)
{
    TEXT(text) = rig_text(rig, sql);
    return strcmp(text, "t") == 0 ? 1 : strtoll(text, NULL, 10);
}

void *rig_hold(struct rig *rig, const char *sql)
{
    TEXT(statements) = must_printf("BEGIN%s; %s", rig->path ? " IMMEDIATE" : "", sql);
    if (!rig->path)
        return postgres_enter(url_beside(rig), statements);
    sqlite3 *db = open_beside(rig);
    run_beside(db, statements);
    return db;
}

void rig_let_go(struct rig *rig, void *holder)
{
    if (rig->path)
        sqlite3_close(holder);
    else
        postgres_leave(holder);
}

void rig_commit(struct rig *rig, void *holder)
{
    if (rig->path) {
        run_beside(holder, "COMMIT");
        sqlite3_close(holder);
    } else {
        postgres_commit(holder);
    }
}

void rig_await_waiter(struct rig *rig)
{
    enum { WAITER_MS = 4000 };
    int64_t until_ms = mono_ms() + WAITER_MS;
    while (!rig->path && rig_number(rig, "SELECT COUNT(*) FROM pg_stat_activity WHERE"
                                         " wait_event_type = 'Lock' AND datname ="
                                         " current_database() AND application_name ="
                                         " current_setting('application_name')") == 0)
        cr_assert(mono_ms() < until_ms, "nobody waits for a lock");
}
