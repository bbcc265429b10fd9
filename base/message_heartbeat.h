/* message_heartbeat: the body of POST /api/worker/heartbeat, as in message.h. Pure. */
#ifndef TAILSLATE_MESSAGE_HEARTBEAT_H
#define TAILSLATE_MESSAGE_HEARTBEAT_H

#include "lib/error.h"

#include "tailslate/problem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json;

enum {
    HELD_JOBS_MAX = 1024,
    HELD_JOBS_BYTES_MAX = 8000, /* for the list: all of metadata has at most 10 000 */
    CODE_VERSION_BYTES = 41,
};
enum worker_status { WORKER_ACTIVE, WORKER_BUSY, WORKER_IDLE };
const char *worker_status_name(enum worker_status status);
struct message_heartbeat {
    enum worker_status status;
    char code_version[CODE_VERSION_BYTES]; /* "" = absent */
    bool jobs_known;                       /* metadata.jobs was present (our extension) */
    int64_t jobs[HELD_JOBS_MAX];
    size_t job_count;
    char *metadata;     /* the metadata object as one line of JSON, or NULL; owned */
    char *capabilities; /* metadata.capabilities likewise, or NULL; owned */
};
enum tailslate_problem message_heartbeat_parse(const char *body, size_t size,
                                               struct message_heartbeat *heartbeat,
                                               struct error *err);
/* Builds metadata from jobs, `capabilities` and `metadata` (an object with additional members; may
 * be NULL). */
char *message_heartbeat_format(const struct message_heartbeat *heartbeat);
/* Do these IDs fit into one heartbeat? An incomplete list is worse than none. */
bool message_heartbeat_fits(const int64_t *jobs, size_t count);
void message_heartbeat_fini(struct message_heartbeat *heartbeat);
/* Does it contain only what a stock server accepts? (Registration uses it, too.) False: see *err.
 */
bool message_capabilities_check(const struct json *capabilities, struct error *err);

#endif
