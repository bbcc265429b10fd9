/* postgres: a real PostgreSQL of a test, on a free port of 127.0.0.1 and a socket of its own.
 *
 *     struct postgres *postgres = postgres_start(NULL);
 *     TEXT(url) = postgres_new_database(postgres->place);
 *     postgres_down(postgres, SIGQUIT);  …  postgres_up(postgres);
 *     postgres_stop(postgres);
 *
 * It refuses to run as root: then it runs as nobody. fsync is off, but with it on it would only be
 * slower: a test kills processes and never the machine. Dies with the test, and its directory goes
 * (guard.h). Its `place` is all that another process needs to use it: Criterion runs each test in
 * one of its own. */
#ifndef SUPPORT_POSTGRES_H
#define SUPPORT_POSTGRES_H

#include "guard.h"
#include "process.h"

struct postgres {
    char dir[64], place[PATH_BYTES];
    struct guard guard;
    struct process *process; /* NULL: it is down */
    int port, lives;
    const char *const *options; /* of postgres (-c name=value), NULL-terminated; borrowed or NULL */
};

struct postgres *postgres_new(const char *const options[]); /* made, and not up */
struct postgres *postgres_start(const char *const options[]);
void postgres_stop(struct postgres *postgres);

void postgres_up(struct postgres *postgres); /* ready when it returns */
/* SIGINT: an orderly end that cuts all connections; SIGQUIT: a crash. */
void postgres_down(struct postgres *postgres, int signal);
void postgres_hang(struct postgres *postgres); /* SIGSTOP to all its processes */
void postgres_wake(struct postgres *postgres);

/* Put into argv the words that make a command run as somebody who is not root; their number. */
size_t postgres_as_nobody(const char *argv[]);

/* The URL of an empty database of this test, owned; by its socket. */
char *postgres_new_database(const char *place);
/* The same of an empty schema in a database that tests share: made in a fraction of the time. */
char *postgres_new_schema(const char *place);
/* A database with a stock server's tables: a copy, which costs a third of making them anew. */
void postgres_make_stock_template(const char *place); /* once, before */
char *postgres_new_stock_database(const char *place);
/* The same database by TCP: another port of 127.0.0.1 for what stands between; owned. */
char *postgres_url_at(const char *url, int port);

/* Without the store: the first value of the first row, "" where there is none; owned. */
char *postgres_ask(const char *url, const char *sql);
/* A connection that stays, to hold a lock: several statements, then postgres_leave. */
struct pg_conn;
struct pg_conn *postgres_enter(const char *url, const char *sql);
/* As postgres_ask; many questions are cheaper by one connection. */
char *postgres_ask_again(struct pg_conn *connection, const char *sql);
void postgres_leave(struct pg_conn *connection);
void postgres_commit(struct pg_conn *connection); /* and leave */

#endif
