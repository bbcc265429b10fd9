/* The tables: made by whoever comes first, brought from version to version, refused from the
 * future. */
#include "lib/cleanup.h"
#include "store_rig.h"
#include "verifier/db/db.h"
#include "verifier/store/store_schema.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { VERIFIERS = 8 };

struct opener {
    pthread_t thread;
    pthread_barrier_t *start;
    struct rig *rig;
    struct store *store;
    struct error err;
};

static void *open_store(void *ctx)
{
    struct opener *opener = ctx;
    pthread_barrier_wait(opener->start);
    opener->store = rig_open(opener->rig, opener->rig->url, &opener->err);
    return NULL;
}

Test(schema, is_made_once_by_verifiers_that_start_at_once)
{
    struct rig *rig = rig_new_bare();
    struct opener openers[VERIFIERS];
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, VERIFIERS);
    for (int i = 0; i < VERIFIERS; i++) {
        openers[i] = (struct opener){.start = &start, .rig = rig};
        cr_assert_eq(pthread_create(&openers[i].thread, NULL, open_store, &openers[i]), 0);
    }
    for (int i = 0; i < VERIFIERS; i++) {
        pthread_join(openers[i].thread, NULL);
        cr_expect(openers[i].store, "%s", openers[i].err.message);
        store_close(openers[i].store);
    }
    pthread_barrier_destroy(&start);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM schema_version"), 1);
    cr_expect_eq(rig_number(rig, "SELECT version FROM schema_version"), STORE_SCHEMA_VERSION);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM fleet"), 1);
    rig_free(rig);
}

/* A database as the first release left it, with a job completed in it. */
Test(schema, of_the_first_version_is_brought_up_to_date_with_all_that_is_in_it)
{
    struct rig *rig = rig_new();
    struct error err;
    int64_t job = rig_add_job(rig, "film"), open = rig_add_job(rig, "other");
    rig_claim(rig, &rig->anna, job);
    rig_present(rig, rig_caller(&rig->anna, 1), job, 1);
    store_close(rig->store);
    rig_sql(rig, "DROP TABLE fleet; DROP TABLE sweeps; DROP TABLE job_holders;"
                 "DROP TABLE job_queue; DROP TABLE directories;"
                 "ALTER TABLE completions DROP COLUMN replays;"
                 "ALTER TABLE completions DROP COLUMN warnings;"
                 "ALTER TABLE failures DROP COLUMN started_at;"
                 "UPDATE schema_version SET version = 1");

    rig->store = rig_open(rig, rig->url, &err);
    cr_assert(rig->store, "%s", err.message);
    cr_expect_eq(rig_number(rig, "SELECT version FROM schema_version"), STORE_SCHEMA_VERSION);
    cr_expect_eq(rig_number(rig, "SELECT replays FROM completions"), 0);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM fleet"), 1);
    cr_expect_eq(rig_present(rig, rig_caller(&rig->anna, 1), job, 1), TAILSLATE_VERDICT_REPLAY);
    cr_expect_eq(rig_present(rig, rig_caller(&rig->bert, 1), job, 2), TAILSLATE_VERDICT_NOT_YOURS);
    cr_expect_eq(rig_claim(rig, &rig->bert, 0).job_id, open);
    rig_free(rig);
}

Test(schema, is_left_alone_where_it_is_up_to_date)
{
    struct rig *rig = rig_new();
    struct error err;
    rig_sql(rig, "UPDATE fleet SET leader = 'somebody'");
    struct store *again = rig_open(rig, rig->url, &err);
    cr_assert(again, "%s", err.message);
    rig_expect(rig, "somebody", "SELECT leader FROM fleet");
    store_close(again);
    rig_free(rig);
}
