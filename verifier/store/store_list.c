#include "verifier/store/store_list.h"

#include "lib/json.h"
#include "verifier/store/store_json.h"
#include "verifier/store/store_private.h"

#include <stdlib.h>
#include <string.h>

/* $1 status, $2 worker, $3 since, $4 below this ID; "" and 0: all. */
#define MATCHING                                                                                   \
    " WHERE (CAST($1 AS TEXT) = '' OR v.status = $1)"                                              \
    " AND (CAST($2 AS TEXT) = '' OR j.processed_by_worker_name = $2"                               \
    " OR EXISTS (SELECT 1 FROM workers w"                                                          \
    " WHERE w.worker_id = COALESCE(j.processed_by_worker_id, j.worker_id)"                         \
    " AND (w.worker_id = $2 OR w.worker_name = $2 OR CAST(w.id AS TEXT) = $2)))"                   \
    " AND (v.created_at >= $3 OR j.completed_at >= $3) AND ($4 = 0 OR j.id < $4)"
#define MATCHING_ARGS(filter)                                                                      \
    db_text((filter)->status ? (filter)->status : ""),                                             \
        db_text((filter)->worker ? (filter)->worker : ""),                                         \
        db_text((filter)->since ? (filter)->since : "1970-01-01T00:00:00.000000+00:00"),           \
        db_int((filter)->before)

bool store_job_status_is_known(const char *status)
{
    static const char *const known[] = {"pending", "processing", "ready", "failed"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i], status) == 0)
            return true;
    return false;
}

void store_job_page_fini(struct store_job_page *page)
{
    free(page->jobs);
    *page = (struct store_job_page){0};
}

static int read_page(struct db *db, const struct store_job_filter *filter,
                     struct store_job_page *page, struct error *err)
{
    int64_t limit = filter->limit;
    must(limit > 0 && limit <= STORE_JOBS_MAX);
    DB_ROWS(rows) = db_query(db, STORE_JOB_COLUMNS MATCHING " ORDER BY j.id DESC LIMIT $5",
                             DB_ARGS(MATCHING_ARGS(filter), db_int(limit + 1)), err);
    if (!rows)
        return -1;
    page->jobs = must_calloc((size_t)limit, sizeof *page->jobs);
    int got;
    while ((got = db_next(rows, err)) == 1 && page->count < (size_t)limit)
        store_job_from_row(rows, &page->jobs[page->count++]);
    page->more = got == 1;
    return got < 0 ? -1 : 0;
}

int store_job_list(struct store *store, const struct store_job_filter *filter,
                   struct store_job_page *page, struct error *err)
{
    *page = (struct store_job_page){0};
    TRANSACTION(tx);
    if (store_begin_reading(store, &tx, err) != 0)
        return -1;
    return read_page(tx.db, filter, page, err);
}

int store_job_count(struct store *store, const struct store_job_filter *filter, int64_t *count,
                    struct error *err)
{
    TRANSACTION(tx);
    if (store_begin_reading(store, &tx, err) != 0)
        return -1;
    return db_one_int(tx.db, count, err, "SELECT COUNT(*)" STORE_JOB_FROM MATCHING,
                      DB_ARGS(MATCHING_ARGS(filter))) == 1
               ? 0
               : -1;
}

static bool is_held(const struct store_job *job)
{
    return !job->completed_at[0] && job->claimed_at[0];
}

/* objects and page->jobs have the same order: by descending ID, as the rows are. */
static int add_progress(struct db *db, const struct store_job_page *page, struct json **objects,
                        struct error *err)
{
    if (page->count == 0)
        return 0;
    DB_ROWS(rows) = db_query(
        db,
        "SELECT p.job_id, p.quality, p.status, p.progress_percent FROM quality_progress p"
        " JOIN transcoding_jobs j ON j.id = p.job_id WHERE j.completed_at IS NULL"
        " AND j.claimed_at IS NOT NULL AND p.job_id BETWEEN $1 AND $2 ORDER BY p.job_id DESC, p.id",
        DB_ARGS(db_int(page->jobs[page->count - 1].id), db_int(page->jobs[0].id)), err);
    if (!rows)
        return -1;
    int got;
    size_t at = 0;
    struct json *list = NULL;
    while ((got = db_next(rows, err)) == 1) {
        int64_t id = db_get_int(rows, 0);
        while (at < page->count && page->jobs[at].id > id) {
            at++;
            list = NULL;
        }
        if (at == page->count || page->jobs[at].id != id)
            continue;
        if (!list)
            json_set(objects[at], "quality_progress", list = json_new_array());
        struct json *object = json_new_object();
        json_set_text(object, "name", db_get_text(rows, 1));
        json_set_text(object, "status", db_get_text(rows, 2));
        json_set_int(object, "progress", db_get_int(rows, 3));
        json_append(list, object);
    }
    return got;
}

static int make_list(struct db *db, const struct store_job_page *page, struct json **list,
                     struct error *err)
{
    struct json **objects = must_calloc(page->count + 1, sizeof(struct json *));
    *list = json_new_array();
    for (size_t i = 0; i < page->count; i++) {
        objects[i] = store_job_json(&page->jobs[i]);
        if (is_held(&page->jobs[i]))
            json_set(objects[i], "quality_progress", json_new_array());
        json_append(*list, objects[i]);
    }
    int result = add_progress(db, page, objects, err);
    free(objects);
    if (result != 0) {
        json_free(*list);
        *list = NULL;
    }
    return result;
}

int store_job_list_json(struct store *store, const struct store_job_filter *filter,
                        struct json **list, bool *more, struct error *err)
{
    CLEANUP(store_job_page_fini) struct store_job_page page = {0};
    TRANSACTION(tx);
    *list = NULL;
    if (store_begin_reading(store, &tx, err) != 0 || read_page(tx.db, filter, &page, err) != 0)
        return -1;
    *more = page.more;
    return make_list(tx.db, &page, list, err);
}
