/* The floor of a completion on SQLite: one thread, the same writes, one commit each.
 *
 *   floor_sqlite DATABASE STATEMENTS COUNT      :id is 1 to COUNT
 *
 * Prints commits per second. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { STATEMENTS_MAX = 16, LINE_BYTES = 4096 };

static sqlite3_stmt *statements[STATEMENTS_MAX];
static int statement_count;

static void must_be(int code, int expected, sqlite3 *db)
{
    if (code == expected)
        return;
    fprintf(stderr, "floor_sqlite: %s\n", sqlite3_errmsg(db));
    exit(1);
}

static void prepare(sqlite3 *db, const char *path)
{
    char line[LINE_BYTES];
    FILE *file = fopen(path, "re");
    while (file && statement_count < STATEMENTS_MAX && fgets(line, sizeof line, file))
        must_be(sqlite3_prepare_v3(db, line, -1, SQLITE_PREPARE_PERSISTENT,
                                   &statements[statement_count++], NULL),
                SQLITE_OK, db);
    if (file)
        fclose(file);
}

static void complete(sqlite3 *db, int id)
{
    for (int i = 0; i < statement_count; i++) {
        int parameter = sqlite3_bind_parameter_index(statements[i], ":id");
        if (parameter > 0)
            must_be(sqlite3_bind_int(statements[i], parameter, id), SQLITE_OK, db);
        must_be(sqlite3_step(statements[i]), SQLITE_DONE, db);
        sqlite3_reset(statements[i]);
    }
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    sqlite3 *db;
    int count = argc == 4 ? atoi(argv[3]) : 0;
    if (count < 1 || sqlite3_open_v2(argv[1], &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK) {
        fprintf(stderr, "usage: floor_sqlite DATABASE STATEMENTS COUNT\n");
        return 64;
    }
    must_be(sqlite3_exec(db,
                         "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                         "PRAGMA foreign_keys=ON",
                         NULL, NULL, NULL),
            SQLITE_OK, db);
    prepare(db, argv[2]);
    double started = now_s();
    for (int id = 1; id <= count; id++)
        complete(db, id);
    printf("%.0f\n", count / (now_s() - started));
    for (int i = 0; i < statement_count; i++)
        sqlite3_finalize(statements[i]);
    return sqlite3_close(db) == SQLITE_OK ? 0 : 1;
}
