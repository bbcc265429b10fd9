/* server: carries exchanges over HTTP; the only file of the verifier that knows libmicrohttpd.
 *
 * A few event threads parse and send, and never block: what may block is done by the pool, while
 * the connection is suspended (work.h); what waits for a job waits without a thread (waiters.h).
 * Everything is bounded: connections, and those of one address, header bytes, body bytes by route,
 * the time from accept to headers, from headers to answer, between requests. A refused body is read
 * to its end, within DRAIN_MAX_BYTES and UNAUTHENTICATED_MS, so that the client sees the answer and
 * not a reset. */
#ifndef VERIFIER_SERVER_H
#define VERIFIER_SERVER_H

#include "verifier/http/request.h"
#include "verifier/http/tls.h"

struct server_settings {
    const char *address;
    int64_t port;
    struct tls_files tls;
    int64_t connections;         /* at once; of open files there must be a third more */
    int64_t address_connections; /* limit for one address */
    const char *trusted_proxy;   /* its X-Real-IP is trusted; "": none */
};

struct server;
/* Listens; nothing is served before server_start. */
struct server *server_listen(const struct server_settings *settings, struct error *err);
int64_t server_port(const struct server *server);
int server_start(struct server *server, struct app *app, struct error *err);

/* Takes over what may change while it serves: certificates, the limit for an address, the trusted
 * proxy. -1: the files of TLS are not usable, and nothing has changed. */
int server_reconfigure(struct server *server, const struct server_settings *settings,
                       struct error *err);

/* Call about once a second: cuts connections past their deadline. */
void server_tick(struct server *server);

/* Accepts no new connections; the caller has closed the wakeup, so long polls answer. Running
 * requests have SERVER_GRACE_MS to end, then their connections are cut, and SERVER_CUT_MS after
 * that. False: a handler still runs (an archive is being unpacked): free nothing, only call _exit.
 */
enum { SERVER_GRACE_MS = 4000, SERVER_CUT_MS = 3000 };
bool server_stop(struct server *server);
void server_free(struct server *server);

#endif
