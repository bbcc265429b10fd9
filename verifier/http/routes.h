/* routes: which handler answers a method and path. One table; the handlers are in routes_*.c and
 * complete.c by topic.
 */
#ifndef VERIFIER_ROUTES_H
#define VERIFIER_ROUTES_H

#include "verifier/http/handler.h"
#include "verifier/http/pool.h"

enum route_auth { AUTH_NONE, AUTH_WORKER, AUTH_ADMIN, AUTH_PAGE /* by page.access */ };
enum route_body {
    BODY_NONE,      /* a body is read and dropped */
    BODY_TEXT,      /* in memory */
    BODY_RAW,       /* streamed into request->body_fd */
    BODY_MULTIPART, /* the field `file` of a form, streamed likewise */
};

struct route {
    const char *method;  /* or several: "GET, POST", GET first */
    const char *pattern; /* components {id} {quality} {name} {video} are parameters */
    enum route_auth auth;
    enum route_body body;
    int64_t body_max_bytes, wall_ms; /* of the body; from the request's headers to its answer */
    route_handler *open;             /* before the body is read: may answer already; or NULL */
    route_handler *run;
};

/* Their names, for metrics: the patterns, then one for requests that match no route. */
size_t routes_names(const char *const **names);
size_t route_index(const struct route *route); /* NULL: that last one */

const struct route *routes_table(size_t *count);
/* The arguments of the query that it reads, separated by spaces; "": none. */
const char *route_query(const struct route *route);

/* Where its handlers run. */
enum lane route_lane(const struct route *route);

/* The route, with the path's parameters in *request; NULL: no such route; the answer is written. */
const struct route *route_find(struct request *request, struct answer *answer);

#endif
