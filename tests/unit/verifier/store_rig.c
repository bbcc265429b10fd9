#include "store_rig.h"

#include "complete.h"

#include "tailslate/cleanup.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <string.h>

static int missing(void *ctx, const char *slug, quality_set named, quality_set *absent,
                   struct error *err)
{
    (void)slug, (void)err;
    *absent = named & ((struct rig *)ctx)->missing;
    return 0;
}

static int discard(void *ctx, const char *slug, quality_set discarded, struct error *err)
{
    (void)slug, (void)err;
    struct rig *rig = ctx;
    rig->discarded = discarded;
    rig->discards++;
    return 0;
}

static void source_name(void *ctx, int64_t video_id, char name[FILENAME_BYTES])
{
    (void)ctx;
    snprintf(name, FILENAME_BYTES, "%d.mp4", (int)video_id);
}

static void add_worker(struct rig *rig, const char *name, struct store_worker *worker)
{
    struct store_registration registration = {.name = name, .type = "remote"};
    struct error err;
    enum store_key found;
    cr_assert_eq(store_worker_register(rig->store, &registration, &err), 0);
    cr_assert_eq(store_worker_by_key(rig->store, registration.api_key, &found, worker, &err), 0);
    cr_assert_eq(found, STORE_KEY_GOOD);
}

struct rig *rig_new_with(int64_t claim_ms, int64_t offline_ms)
{
    struct rig *rig = must_calloc(1, sizeof *rig);
    struct error err;
    strcpy(rig->dir, "/tmp/tailslate-store-XXXXXX");
    cr_assert(mkdtemp(rig->dir));
    rig->path = must_printf("%s/verifier.db", rig->dir);
    rig->url = must_printf("sqlite:%s", rig->path);
    struct store_settings settings = {.url = rig->url,
                                      .claim_ms = claim_ms,
                                      .offline_ms = offline_ms,
                                      .files = {rig, missing, discard, source_name}};
    rig->store = store_open(&settings, &err);
    cr_assert(rig->store, "%s", err.message);
    add_worker(rig, "anna", &rig->anna);
    add_worker(rig, "bert", &rig->bert);
    return rig;
}

struct rig *rig_new(void)
{
    return rig_new_with(RIG_CLAIM_MS, RIG_CLAIM_MS);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    (void)status, (void)kind, (void)at;
    return remove(path);
}

void rig_free(struct rig *rig)
{
    store_close(rig->store);
    nftw(rig->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(rig->path);
    free(rig->url);
    free(rig);
}

static int place(void *ctx, int64_t video_id, struct error *err)
{
    (void)ctx, (void)video_id, (void)err;
    return 0;
}

int64_t rig_add_job(struct rig *rig, const char *slug)
{
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

struct message_completion rig_completion(int64_t job_id, int token)
{
    struct message_completion completion = {.renditions = {{.quality = QUALITY_720P,
                                                            .width = 1280,
                                                            .height = 720,
                                                            .bitrate_kbit = 2500}},
                                            .rendition_count = 1,
                                            .duration = 12.5,
                                            .source_width = 1920,
                                            .source_height = 1080,
                                            .format = FORMAT_CMAF,
                                            .codec = CODEC_H264};
    if (token)
        snprintf(completion.token, sizeof completion.token, "%lld-00000000-0000-4000-8000-%012d",
                 (long long)job_id, token);
    return completion;
}

struct store_completed rig_complete(struct rig *rig, struct store_caller caller, int64_t job_id,
                                    const struct message_completion *completion)
{
    struct store_completed result;
    struct error err;
    cr_assert_eq(complete_job(rig->store, &caller, job_id, completion, &result, &err), 0, "%s",
                 err.message);
    return result;
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

enum verify_standing rig_progress(struct rig *rig, struct store_caller caller, int64_t job_id)
{
    struct message_progress progress = {.step = WORK_TRANSCODE,
                                        .percent = 50,
                                        .duration = ABSENT_NUMBER,
                                        .source_width = ABSENT_INT,
                                        .source_height = ABSENT_INT};
    enum verify_standing standing;
    char expires[WALL_TEXT_BYTES];
    struct error err;
    cr_assert_eq(store_progress(rig->store, &caller, job_id, &progress, &standing, expires, &err),
                 0, "%s", err.message);
    return standing;
}

static sqlite3 *open_beside(struct rig *rig)
{
    sqlite3 *db;
    cr_assert_eq(sqlite3_open(rig->path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    return db;
}

void rig_sql(struct rig *rig, const char *sql)
{
    sqlite3 *db = open_beside(rig);
    cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK, "%s: %s", sql,
                 sqlite3_errmsg(db));
    sqlite3_close(db);
}

char *rig_text(struct rig *rig, const char *sql)
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

int64_t rig_number(struct rig *rig, const char *sql)
{
    TEXT(text) = rig_text(rig, sql);
    return strtoll(text, NULL, 10);
}
