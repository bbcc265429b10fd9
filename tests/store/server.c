/* The database server of this run, where its store needs one: one for all tests, each of which has
 * a database of its own in it. */
#include "postgres.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <stdlib.h>
#include <string.h>

static struct postgres *server;

static void start(bool is_stock)
{
    server = postgres_start(NULL);
    setenv("TAILSLATE_TEST_POSTGRES", server->place, 1);
    if (is_stock)
        postgres_make_stock_template(server->place);
}

ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
    (void)tests;
    const char *store = getenv("TAILSLATE_TEST_STORE");
    if (store && strcmp(store, "sqlite") != 0)
        start(strcmp(store, "vlog") == 0);
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
    (void)stats;
    if (server)
        postgres_stop(server);
}
