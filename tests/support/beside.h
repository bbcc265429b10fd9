/* beside: a verifier on a stock vlog server's database, with nginx as it is shipped in front, and a
 * scripted peer in the stock server's place.
 *
 *     struct beside beside = beside_behind_nginx();
 *     beside_give_job(&beside);              -- the stock server has given it to anna
 *     …
 *     beside_end(&beside);
 *
 * Where the stock server's own answers matter, beside_with_stock puts a double in its place that
 * claims, fails and completes on the same tables as a stock server does (vlog_answers.sql).
 *
 * One PostgreSQL serves all tests of an executable; each has a database of its own in it. What the
 * stock server does to its rows is in vlog_tables.sql, as functions. */
#ifndef SUPPORT_BESIDE_H
#define SUPPORT_BESIDE_H

#include "nginx.h"
#include "worker.h"

/* anna's, as a stock server makes and keeps it. */
#define BESIDE_KEY "anna-the-keys-0123456789abcdefghijklmnopqrs"
#define BESIDE_KEY_HASH                                                                            \
    "$argon2id$v=19$m=65536,t=3,p=4$c2l4dGVlbi1ieXRlcy1vZg$"                                       \
    "N6u/dyOhohsZLs2fXqsgBtN0a+4ddFx6JuuEUZEc4bw"

struct beside {
    struct rig *rig;
    char *url;
    struct worker worker; /* anna; without an epoch, as a stock worker */
    char worker_id[64];
    struct peer *stock;
    struct nginx nginx;
};

struct beside beside_new(void); /* nothing runs but the database */
/* All of it runs, and the verifier trusts nginx; the peer answers {"from":"stock"}. */
struct beside beside_behind_nginx(void);
void beside_put_nginx(struct beside *beside); /* and the peer, before the verifier's port */
/* All of it runs, the double in the stock server's place; workers call nginx (rig->front). */
struct beside beside_with_stock(void);
/* The same; the verifier is configured as the test likes before it starts. */
struct beside beside_new_stock(void);
void beside_start_stock(struct beside *beside);
void beside_end(struct beside *beside);

char *beside_ask(const struct beside *beside, const char *format, ...)
    __attribute__((format(printf, 2, 3))); /* owned */
int64_t beside_ask_int(const struct beside *beside, const char *sql);

/* A job with its output where it belongs, claimed by anna. */
void beside_give_job(struct beside *beside);
/* A job that waits, with the output of whoever will do it. */
int64_t beside_add_job(struct beside *beside, const char *slug);
struct worker beside_add_worker(struct beside *beside, const char *name);
/* anna's call to nginx, its path as it stands. */
struct reply beside_call(const struct beside *beside, const char *method, const char *path,
                         const char *body, const char *extra);
/* A completion that is none, with this key, to the verifier itself: 422 where the key is good. */
struct reply beside_knock(const struct beside *beside, const char *key, const char *header);

#endif
