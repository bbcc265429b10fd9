#include "hold.h"

#include "lib/cleanup.h"
#include "lib/error.h"

#include <libpq-fe.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>

enum { BUSY_MS = 500 };

struct hold {
    PGconn *postgres;
    sqlite3 *sqlite;
};

static bool hold_postgres(struct hold *hold, const char *url)
{
    static const char sql[] = "SET client_min_messages = error; BEGIN;"
                              " SELECT id FROM transcoding_jobs FOR UPDATE SKIP LOCKED";
    hold->postgres = PQconnectdb(url);
    if (PQstatus(hold->postgres) != CONNECTION_OK)
        return false;
    PGresult *result = PQexec(hold->postgres, sql);
    bool is_held = PQresultStatus(result) == PGRES_TUPLES_OK;
    PQclear(result);
    return is_held;
}

static bool hold_sqlite(struct hold *hold, const char *path)
{
    if (sqlite3_open_v2(path, &hold->sqlite, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
        return false;
    sqlite3_busy_timeout(hold->sqlite, BUSY_MS);
    return sqlite3_exec(hold->sqlite, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK;
}

struct hold *hold_rows(const char *postgres, const char *sqlite)
{
    struct hold *hold = must_calloc(1, sizeof *hold);
    if (postgres ? hold_postgres(hold, postgres) : hold_sqlite(hold, sqlite))
        return hold;
    hold_end(hold);
    return NULL;
}

/* What is open is rolled back. */
void hold_end(struct hold *hold)
{
    if (!hold)
        return;
    PQfinish(hold->postgres);
    sqlite3_close(hold->sqlite);
    free(hold);
}
