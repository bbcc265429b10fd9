/* request: all that a handler sees of HTTP. It owns copies of what is read of the head, so that any
 * thread may finish it. */
#ifndef VERIFIER_REQUEST_H
#define VERIFIER_REQUEST_H

#include "lib/hash.h"
#include "verifier/base/wakeup.h"
#include "verifier/files/files.h"
#include "verifier/gate/gate.h"
#include "verifier/store/store_worker.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    REQUEST_ID_BYTES = 65,
    REQUEST_CLIENT_BYTES = 64,
    REQUEST_NAME_BYTES = 256,
    REQUEST_HEADERS = 12,
    REQUEST_ARGUMENTS = 11,
    REQUEST_HEAD_MAX_BYTES = 12 * 1024, /* all of the request line and the headers */
};

struct answer;
struct auth;
struct replays;
struct health_probe;
struct overview;

/* Who may read the overview: everybody, who has the admin secret, nobody. */
enum page_access { PAGE_READ, PAGE_LOGIN, PAGE_OFF };

/* What all handlers use; owned by `serve`, borrowed here. */
struct app {
    struct store *store;
    struct gate *gate; /* NULL: none */
    struct files *files;
    struct wakeup *wakeup;
    struct replays *replays;
    struct auth *auth;
    struct health_probe *probe;
    struct overview *overview;
    _Atomic(enum page_access) page_access; /* a reload may change it */
};

struct request_value {
    bool is_given;
    char *value; /* owned; NULL: not given, or an argument without a value */
};

/* What a handler that leaves its answer's status 0 waits for; it runs again then (waiters.h). */
enum wait_for { WAIT_FOR_NOTHING, WAIT_FOR_JOB, WAIT_FOR_CHANGE };
struct request;
struct request_wait {
    enum wait_for what;
    int64_t until_ms; /* mono_ms; set by the first attempt, kept by the next ones */
    int64_t again_ms; /* FOR_CHANGE: between two attempts */
    uint64_t seen;    /* FOR_JOB: the wakeup's count before the attempt */
    /* Answers without a job or a change. Must not block. */
    void (*give_up)(struct request *request, struct answer *answer);
};

struct request {
    struct app *app;
    const char *method, *path; /* borrowed until the request ends */
    char id[REQUEST_ID_BYTES], client[REQUEST_CLIENT_BYTES];
    struct store_worker worker; /* the caller, on worker routes */
    int64_t claim_epoch;        /* X-Claim-Epoch; TAILSLATE_ABSENT_INT: not given */
    /* From the path: {id}, {quality}, {name}. */
    int64_t number;
    enum tailslate_quality quality;
    char name[REQUEST_NAME_BYTES];
    /* The body: whole in memory, or streamed into body_fd (opened by the route's open handler) and
     * hashed. */
    const char *body;
    size_t body_size;
    int body_fd;
    struct hash *body_hash;
    int64_t streamed_bytes;
    /* From the open handler to the run handler; always freed with free_scratch. */
    void *scratch;
    void (*free_scratch)(void *scratch);
    /* Copies of the headers and query arguments that are read here, in the order of request.c's
     * tables. Together at most REQUEST_HEAD_MAX_BYTES. */
    struct request_value headers[REQUEST_HEADERS], arguments[REQUEST_ARGUMENTS];
    int connection_fd; /* borrowed; only polled */
    struct request_wait wait;
};

void request_init(struct request *request, struct app *app);
void request_fini(struct request *request);

/* Copies the value of a header that is read here; others are ignored. False: it was given before;
 * the first value stays. */
bool request_set_header(struct request *request, const char *name, const char *value);
/* Likewise an argument of the query; the first of a name counts. value NULL: it has none. */
void request_set_argument(struct request *request, const char *name, const char *value);

/* name: one of request.c's tables, in any case. NULL: not given. Borrowed until the request ends.
 */
const char *request_header(const struct request *request, const char *name);
const char *request_query(const struct request *request, const char *name);
/* Has the client closed its connection? */
bool request_client_is_gone(const struct request *request);

#endif
