/* routes: which call is whose. One table; the handlers are in routes_*.c by topic. */
#ifndef VERIFIER_ROUTES_H
#define VERIFIER_ROUTES_H

#include "verifier/http/request.h"

enum route_auth { AUTH_NONE, AUTH_WORKER, AUTH_ADMIN };
enum route_body {
    BODY_NONE,      /* a body is read and dropped */
    BODY_TEXT,      /* in memory */
    BODY_RAW,       /* streamed into request->body_fd */
    BODY_MULTIPART, /* the field `file` of a form, streamed likewise */
};

typedef void route_handler(struct request *request, struct answer *answer);

struct route {
    const char *method;  /* or several: "GET, POST", GET first */
    const char *pattern; /* components {id} {quality} {name} {video} are parameters */
    enum route_auth auth;
    enum route_body body;
    int64_t body_max_bytes, wall_ms; /* of the body; from the request's headers to its answer */
    route_handler *open;             /* before the body is read: may answer already; or NULL */
    route_handler *run;
};

/* Their names, for what counts by route: the patterns, and a last one for what fits none. */
size_t routes_names(const char *const **names);
size_t route_index(const struct route *route); /* NULL: that last one */

/* The route, with the path's parameters in *request; NULL: no such route; the answer is written. */
const struct route *route_find(struct request *request, struct answer *answer);

/* What several topics need. */
struct store_caller route_caller(const struct request *request);
/* Who calls about the video {id}, and what is its job? True where the claim is the caller's, or the
 * job was completed by it (what then may still be done is the handler's matter); else answered. */
bool route_read_job(struct request *request, struct answer *answer,
                    enum tailslate_standing *standing, struct store_job *job);
/* Does the URI's path encode a separator, an end or a percent sign? */
bool route_hides_something(const char *uri);
/* A positive number without sign, blanks or leading zeros; at most 18 digits. */
bool route_parse_number(const char *text, int64_t *value);
/* [sha256:]<64 hexadecimal digits>, to lower case. NULL is none. */
bool route_parse_checksum(const char *text, char hex[HASH_HEX_BYTES]);

route_handler route_register, route_heartbeat, route_workers, route_revoke;
route_handler route_claim, route_reencode_claim, route_progress, route_complete, route_fail,
    route_verify_complete;
route_handler route_segment_open, route_segment, route_segments_status, route_segment_finalize;
route_handler route_tar_open, route_quality_tar, route_finalize_tar;
route_handler route_source;
route_handler route_health, route_alive, route_metrics;

#endif
