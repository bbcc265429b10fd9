/* The database server of this run, where its store needs one: one for all tests, each of which has
 * a database of its own in it; for `pgbouncer` with one before it. */
#include "lib/cleanup.h"
#include "lib/error.h"
#include "pgbouncer.h"
#include "postgres.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <stdlib.h>
#include <string.h>

static struct postgres *server;
static struct pgbouncer *pooler;

static void start_pooler(void)
{
    pooler = pgbouncer_start(server->place);
    TEXT(port) = must_printf("%d", pooler->port);
    setenv("TAILSLATE_TEST_PGBOUNCER", port, 1);
}

static void start(const char *store)
{
    /* A pooler keeps the sessions of a database for a while after its test. */
    static const char *const many[] = {"max_connections=400", NULL};
    bool is_pooled = strcmp(store, "pgbouncer") == 0;
    server = postgres_start(is_pooled ? many : NULL);
    setenv("TAILSLATE_TEST_POSTGRES", server->place, 1);
    if (is_pooled)
        start_pooler();
    if (strcmp(store, "vlog") == 0)
        postgres_make_stock_template(server->place);
}

ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
    (void)tests;
    const char *store = getenv("TAILSLATE_TEST_STORE");
    if (store && strcmp(store, "sqlite") != 0)
        start(store);
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
    (void)stats;
    if (pooler)
        pgbouncer_stop(pooler);
    if (server)
        postgres_stop(server);
}
