/* peer: an HTTP server that misbehaves on cue, alone or in front of the real verifier.
 *
 *     peer_script(p, "POST *complete", "503 retry-after=1; hangup; stall 2s; lost; pass");
 *
 * The n-th request that fits the pattern (fnmatch on "METHOD path") gets the n-th action. When a
 * script has run out: `pass` where there is a verifier behind, else the last action for ever.
 * Requests without a script: `pass`, or 404. One request a connection; each is recorded.
 *
 *     pass           forwarded, the answer brought back
 *     lost           forwarded and carried out, the answer thrown away: the connection is reset
 *     first-lost     `lost` if no request before had its method and path, else `pass`; for ever
 *     hangup         reset, nothing forwarded
 *     stall 2s       held so long, then reset (units ms, s)
 *     slow 2s        held so long, then as `pass`
 *     held           held until peer_release, then as `pass`
 *     truncate       a 200 whose body is shorter than its Content-Length
 *     html 200       this status with a page of HTML
 *     redirect       302 to somewhere else
 *     503 retry-after=1 code=store_unavailable    this status, with a JSON body of that `code`
 *     200 ack        our acknowledgment of a completion, its token echoed
 *     200 stock-ack, 200 stock-already            as a stock server says it
 *     200 {json}     this body (no `;` in it)
 *     file PATH      200 with the bytes of this file
 *     chunked PATH   the same, without saying how many they are
 *     ask            what the function of peer_ask says: "200 {json}"
 */
#ifndef SUPPORT_PEER_H
#define SUPPORT_PEER_H

#include <stddef.h>
#include <stdint.h>

enum { PEER_REQUESTS_MAX = 16384, PEER_RULES_MAX = 32, PEER_ACTION_BYTES = 512 };

struct peer_request {
    char method[8], path[1024];
    char *headers, *body; /* owned by the peer */
    size_t body_size;
    int64_t at_mono_ms;
    char action[PEER_ACTION_BYTES]; /* what was done about it */
};

struct peer;
struct peer *peer_start(void); /* on a free port of 127.0.0.1 */
void peer_stop(struct peer *peer);
int peer_port(const struct peer *peer);
void peer_set_upstream(struct peer *peer, int port); /* 0: nobody is behind it */

void peer_script(struct peer *peer, const char *pattern, const char *script);
void peer_release(struct peer *peer); /* every request that is `held`, now or later */
/* Who answers where a script says `ask`; called by many threads at once. Owned by the peer. */
typedef char *peer_asked(void *ctx, const struct peer_request *request);
void peer_ask(struct peer *peer, peer_asked *asked, void *ctx);

int peer_count(struct peer *peer, const char *pattern);
/* The n-th request (from 0) that fits; borrowed, lives as long as the peer. NULL: no such. */
const struct peer_request *peer_request(struct peer *peer, const char *pattern, int n);
/* Wait for the n-th (from 1) to have come; fails the test at the deadline. */
void peer_wait(struct peer *peer, const char *pattern, int n, int64_t timeout_ms);
/* The same for so many more than there are now. */
void peer_wait_more(struct peer *peer, const char *pattern, int more, int64_t timeout_ms);

#endif
