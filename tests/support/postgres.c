#include "postgres.h"

#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/uuid.h"
#include "media.h"
#include "port.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <glob.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAKE_MS = 120 * 1000, READY_MS = 60 * 1000, END_MS = 60 * 1000, WORDS_MAX = 40 };

/* Debian keeps them out of PATH, one directory a version. */
static char *program(const char *name)
{
    TEXT(pattern) = must_printf("/usr/lib/postgresql/*/bin/%s", name);
    glob_t found;
    cr_assert(glob(pattern, 0, NULL, &found) == 0, "no %s: packaging/dependencies.sh test", name);
    char *path = must_strdup(found.gl_pathv[found.gl_pathc - 1]);
    globfree(&found);
    return path;
}

size_t postgres_as_nobody(const char *argv[])
{
    static const char *const words[] = {"setpriv", "--reuid=nobody", "--regid=nogroup",
                                        "--clear-groups"};
    if (geteuid() != 0)
        return 0;
    memcpy(argv, words, sizeof words);
    return sizeof words / sizeof *words;
}

static void make_directory(const char *path)
{
    cr_assert(mkdir(path, 0700) == 0);
    if (geteuid() == 0)
        cr_assert(chown(path, 65534, 65534) == 0);
}

static void initialize(const char *data)
{
    TEXT(initdb) = program("initdb");
    make_directory(data);
    const char *argv[WORDS_MAX];
    size_t count = postgres_as_nobody(argv);
    const char *const words[] = {initdb, "-D",   data, "-U",       "tailslate", "-A", "trust",
                                 "-E",   "UTF8", "-N", "--locale", "C.UTF-8",   NULL};
    memcpy(argv + count, words, sizeof words);
    RUN(run) = run_program(argv, NULL, MAKE_MS);
    cr_assert(run.status == 0, "initdb: %d %s", run.status, run.err);
    /* Whoever needs a password is this one. */
    TEXT(access) = must_printf("%s/pg_hba.conf", data);
    file_write(access,
               "local all guarded scram-sha-256\nhost all guarded 127.0.0.1/32 scram-sha-256\n"
               "local all all trust\nhost all all 127.0.0.1/32 trust\n",
               0644);
}

static void copy(const char *from, const char *to)
{
    RUN(run) = run_program((const char *[]){"cp", "-a", "--reflink=auto", from, to, NULL}, NULL,
                           MAKE_MS);
    cr_assert(run.status == 0, "cp: %d %s", run.status, run.err);
}

/* Where the directory of this version and user is kept; owned. */
static char *kept_data(void)
{
    TEXT(initdb) = program("initdb");
    const char *version = strstr(initdb, "postgresql/") + strlen("postgresql/");
    TEXT(name) = must_printf("postgres-%.*s-%u", (int)strcspn(version, "/"), version, geteuid());
    return media_beside(name);
}

/* initdb takes more than a second: its directory is made once a build and copied. Where another
 * test keeps one at the same moment, either is right, and ours stays aside. */
static void make_data(const char *data)
{
    TEXT(kept) = kept_data();
    if (access(kept, F_OK) == 0) {
        copy(kept, data);
        return;
    }
    TEXT(making) = must_printf("%s.%d", kept, (int)getpid());
    initialize(data);
    copy(data, making);
    cr_assert(rename(making, kept) == 0 || access(kept, F_OK) == 0);
}

struct postgres *postgres_new(const char *const options[])
{
    struct postgres *postgres = must_calloc(1, sizeof *postgres);
    const char *base = getenv("TMPDIR");
    snprintf(postgres->dir, sizeof postgres->dir, "%s/tailslate-pg-XXXXXX",
             base && *base ? base : P_tmpdir);
    cr_assert(mkdtemp(postgres->dir), "cannot make %s", postgres->dir);
    guard_start(&postgres->guard, postgres->dir);
    cr_assert(chmod(postgres->dir, 0711) == 0); /* to be passed through by nobody */
    postgres->options = options;
    postgres->port = port_free();
    snprintf(postgres->place, sizeof postgres->place, "%s/run:%d", postgres->dir, postgres->port);
    TEXT(data) = must_printf("%s/data", postgres->dir);
    TEXT(sockets) = must_printf("%s/run", postgres->dir);
    make_data(data);
    make_directory(sockets);
    return postgres;
}

struct postgres *postgres_start(const char *const options[])
{
    struct postgres *postgres = postgres_new(options);
    postgres_up(postgres);
    return postgres;
}

void postgres_up(struct postgres *postgres)
{
    cr_assert(!postgres->process);
    TEXT(server) = program("postgres");
    TEXT(data) = must_printf("%s/data", postgres->dir);
    TEXT(sockets) = must_printf("%s/run", postgres->dir);
    TEXT(port) = must_printf("%d", postgres->port);
    const char *argv[WORDS_MAX];
    size_t count = postgres_as_nobody(argv);
    const char *const words[] = {server,
                                 "-D",
                                 data,
                                 "-k",
                                 sockets,
                                 "-h",
                                 "127.0.0.1",
                                 "-p",
                                 port,
                                 "-c",
                                 "fsync=off",
                                 "-c",
                                 "full_page_writes=off",
                                 "-c",
                                 "autovacuum=off",
                                 "-c",
                                 "max_connections=60"};
    memcpy(argv + count, words, sizeof words);
    count += sizeof words / sizeof *words;
    for (const char *const *option = postgres->options; option && *option; option++) {
        cr_assert(count < WORDS_MAX - 2);
        argv[count++] = "-c";
        argv[count++] = *option;
    }
    argv[count] = NULL;
    TEXT(log) = must_printf("%s/postgres.%d.log", postgres->dir, ++postgres->lives);
    postgres->process = process_start(argv, NULL, log, NULL);
    process_expect(postgres->process, "ready accept connections", READY_MS, NULL);
}

void postgres_down(struct postgres *postgres, int signal)
{
    process_signal(postgres->process, signal);
    cr_assert(process_ends_within(postgres->process, END_MS));
    process_free(postgres->process);
    postgres->process = NULL;
}

/* The server and its children all work in the data directory, and rename themselves. */
static int signal_all(const struct postgres *postgres, int signal)
{
    TEXT(data) = must_printf("%s/data", postgres->dir);
    int count = 0;
    DIRECTORY(proc) = opendir("/proc");
    for (struct dirent *entry; proc && (entry = readdir(proc)) != NULL;) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        TEXT(link) = must_printf("/proc/%s/cwd", entry->d_name);
        char target[PATH_BYTES] = "";
        if (pid > 1 && readlink(link, target, sizeof target - 1) > 0 && strcmp(target, data) == 0)
            count += kill(pid, signal) == 0;
    }
    return count;
}

void postgres_hang(struct postgres *postgres)
{
    /* The server itself first: the second look then finds whomever it started in between. */
    process_signal(postgres->process, SIGSTOP);
    cr_assert(signal_all(postgres, SIGSTOP) > 1);
    signal_all(postgres, SIGSTOP);
}

void postgres_wake(struct postgres *postgres)
{
    signal_all(postgres, SIGCONT);
}

void postgres_stop(struct postgres *postgres)
{
    if (postgres->process) {
        postgres_wake(postgres);
        postgres_down(postgres, SIGQUIT);
    }
    guard_end(&postgres->guard);
    free(postgres);
}

static char *ask(PGconn *connection, const char *sql)
{
    PGresult *result = PQexec(connection, sql);
    ExecStatusType status = PQresultStatus(result);
    cr_assert(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK, "%s: %s", sql,
              PQerrorMessage(connection));
    char *text = must_strdup(PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return text;
}

struct pg_conn *postgres_enter(const char *url, const char *sql)
{
    PGconn *connection = PQconnectdb(url);
    cr_assert(PQstatus(connection) == CONNECTION_OK, "%s", PQerrorMessage(connection));
    free(ask(connection, "SET client_min_messages = error"));
    free(ask(connection, sql));
    return connection;
}

char *postgres_ask_again(struct pg_conn *connection, const char *sql)
{
    /* Its server may have been restarted; the first to hear of that is not told by the status. */
    PGresult *result = PQexec(connection, "SELECT 1");
    bool is_alive = PQresultStatus(result) == PGRES_TUPLES_OK;
    PQclear(result);
    if (!is_alive)
        PQreset(connection);
    return ask(connection, sql);
}

void postgres_leave(struct pg_conn *connection)
{
    PQfinish(connection);
}

void postgres_commit(struct pg_conn *connection)
{
    PGresult *result = PQexec(connection, "COMMIT");
    cr_assert(strcmp(PQcmdStatus(result), "COMMIT") == 0, "%s", PQerrorMessage(connection));
    PQclear(result);
    PQfinish(connection);
}

char *postgres_ask(const char *url, const char *sql)
{
    PGconn *connection = PQconnectdb(url);
    cr_assert(PQstatus(connection) == CONNECTION_OK, "%s", PQerrorMessage(connection));
    char *text = ask(connection, sql);
    PQfinish(connection);
    return text;
}

/* extra: more parameters, or "". */
static char *url_of(const char *place, const char *database, const char *extra)
{
    const char *port = strrchr(place, ':');
    cr_assert(port);
    return must_printf("postgresql://tailslate@/%s?%shost=%.*s&port=%s", database, extra,
                       (int)(port - place), place, port + 1);
}

static void make_name(char name[64])
{
    snprintf(name, 64, "test_%llx", (unsigned long long)random_u64());
}

char *postgres_new_schema(const char *place)
{
    char name[64];
    make_name(name);
    TEXT(postgres) = url_of(place, "postgres", "");
    TEXT(sql) = must_printf("CREATE SCHEMA %s", name);
    free(postgres_ask(postgres, sql));
    /* By the second one a test knows its own sessions. */
    TEXT(extra) = must_printf("options=-csearch_path%%3D%s&application_name=%s&", name, name);
    return url_of(place, "postgres", extra);
}

#define STOCK_TEMPLATE "stock_tables"
#define STOCK_TABLES   TAILSLATE_SOURCE_DIR "/tests/support/vlog_tables.sql"

static char *copy_database(const char *place, const char *template)
{
    char name[64];
    make_name(name);
    TEXT(postgres) = url_of(place, "postgres", "");
    TEXT(sql) = must_printf("CREATE DATABASE %s TEMPLATE %s STRATEGY FILE_COPY", name, template);
    free(postgres_ask(postgres, sql));
    TEXT(extra) = must_printf("application_name=%s&", name);
    return url_of(place, name, extra);
}

char *postgres_new_database(const char *place)
{
    return copy_database(place, "template0");
}

void postgres_make_stock_template(const char *place)
{
    TEXT(postgres) = url_of(place, "postgres", "");
    TEXT(template) = url_of(place, STOCK_TEMPLATE, "");
    TEXT(tables) = file_read(STOCK_TABLES);
    free(postgres_ask(postgres, "CREATE DATABASE " STOCK_TEMPLATE " TEMPLATE template0"));
    free(postgres_ask(template, tables));
}

char *postgres_new_stock_database(const char *place)
{
    return copy_database(place, STOCK_TEMPLATE);
}

char *postgres_url_at(const char *url, int port)
{
    const char *name = strstr(url, "@/"), *end = strstr(url, "host=");
    cr_assert(name && end);
    /* Without the `?` or `&` before it. */
    return must_printf("postgresql://tailslate@127.0.0.1:%d%.*s", port, (int)(end - name - 2),
                       name + 1);
}
