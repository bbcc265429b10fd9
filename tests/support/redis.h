/* redis: a real Redis of one test, on a free port of 127.0.0.1, with nothing on disk.
 *
 *     struct redis *redis = redis_start(NULL);
 *     redis_ask(redis, "SET", "key", "value", NULL);
 *     redis_hang(redis);  …  redis_wake(redis);
 *     redis_stop(redis);
 *
 * It keeps its port over kill and restart; what it held is then gone, as after a failover to an
 * empty one. Dies with the test, and its directory goes (guard.h). */
#ifndef SUPPORT_REDIS_H
#define SUPPORT_REDIS_H

#include "guard.h"
#include "process.h"

struct redis {
    char dir[64];
    struct guard guard;
    struct process *process; /* NULL: it is down */
    int port, lives;
    const char *const *options;  /* of redis-server, NULL-terminated; borrowed; may be NULL */
    const char *user, *password; /* with which redis_ask authenticates; NULL: not */
};

struct redis *redis_new(const char *const options[]); /* it has a port and is not up */
struct redis *redis_start(const char *const options[]);
void redis_stop(struct redis *redis);

void redis_up(struct redis *redis); /* ready when it returns */
void redis_kill(struct redis *redis);
void redis_hang(struct redis *redis); /* SIGSTOP: it accepts, by the kernel, and answers nothing */
void redis_wake(struct redis *redis);

/* By redis-cli; its answer without the last newline, owned. The words end with NULL. */
char *redis_ask(const struct redis *redis, const char *word, ...) __attribute__((sentinel));
/* Fails the test unless it answers so. */
void redis_expect(const struct redis *redis, const char *answer, const char *word, ...)
    __attribute__((sentinel));
char *redis_url(const struct redis *redis); /* owned; with the user, never the password */

#endif
