#include "pgbouncer.h"

#include "lib/cleanup.h"
#include "lib/error.h"
#include "port.h"
#include "postgres.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { READY_MS = 30 * 1000, SESSIONS = 4 };

static void configure(const struct pgbouncer *pgbouncer, const char *place)
{
    const char *port = strrchr(place, ':');
    cr_assert(port);
    TEXT(users) = must_printf("%s/users", pgbouncer->dir);
    file_write(users, "\"tailslate\" \"\"\n", 0644);
    TEXT(file) = must_printf("%s/pgbouncer.ini", pgbouncer->dir);
    TEXT(text) = must_printf("[databases]\n"
                             "* = host=%.*s port=%s\n"
                             "[pgbouncer]\n"
                             "pool_mode = transaction\n"
                             "default_pool_size = %d\n"
                             "server_round_robin = 1\n"
                             "server_idle_timeout = 2\n"
                             "max_client_conn = 400\n"
                             "listen_addr = 127.0.0.1\n"
                             "listen_port = %d\n"
                             "unix_socket_dir =\n"
                             "auth_type = trust\n"
                             "auth_file = %s\n",
                             (int)(port - place), place, port + 1, SESSIONS, pgbouncer->port,
                             users);
    file_write(file, text, 0644);
}

struct pgbouncer *pgbouncer_start(const char *place)
{
    struct pgbouncer *pgbouncer = must_calloc(1, sizeof *pgbouncer);
    const char *base = getenv("TMPDIR");
    snprintf(pgbouncer->dir, sizeof pgbouncer->dir, "%s/tailslate-pgbouncer-XXXXXX",
             base && *base ? base : P_tmpdir);
    cr_assert(mkdtemp(pgbouncer->dir), "cannot make %s", pgbouncer->dir);
    guard_start(&pgbouncer->guard, pgbouncer->dir);
    cr_assert(chmod(pgbouncer->dir, 0711) == 0); /* to be passed through by nobody */
    pgbouncer->port = port_free();
    configure(pgbouncer, place);
    TEXT(file) = must_printf("%s/pgbouncer.ini", pgbouncer->dir);
    TEXT(log) = must_printf("%s/pgbouncer.log", pgbouncer->dir);
    const char *argv[PROCESS_ARGS_MAX];
    size_t count = postgres_as_nobody(argv);
    argv[count++] = "/usr/sbin/pgbouncer"; /* not in everybody's PATH */
    argv[count++] = file;
    argv[count] = NULL;
    pgbouncer->process = process_start(argv, NULL, log, NULL);
    process_expect(pgbouncer->process, "process up: PgBouncer", READY_MS, NULL);
    return pgbouncer;
}

void pgbouncer_stop(struct pgbouncer *pgbouncer)
{
    process_free(pgbouncer->process);
    guard_end(&pgbouncer->guard);
    free(pgbouncer);
}
