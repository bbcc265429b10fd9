/* server: HTTP in front of the exchanges (libmicrohttpd stands behind it, and nowhere else here).
 *
 * A thread per connection, so that a handler may wait (long poll, database). Everything is bounded:
 * connections, and those of one address, header bytes, body bytes by route, the time from accept to
 * headers, from headers to answer, between requests. A refused body is read to its end, within
 * DRAIN_MAX_BYTES and UNAUTHENTICATED_MS, so that the client sees the answer and not a reset. */
#ifndef VERIFIER_SERVER_H
#define VERIFIER_SERVER_H

#include "verifier/http/request.h"
#include "verifier/http/tls.h"

struct server_settings {
    const char *address;
    int64_t port;
    struct tls_files tls;
    int64_t address_connections; /* how many one address may have */
    const char *trusted_proxy;   /* whose X-Real-IP is believed; "" = nobody's; borrowed */
};

struct server;
/* Listens; nothing is served before server_run. -1 in *port never: the port that was got. */
struct server *server_listen(const struct server_settings *settings, struct error *err);
int64_t server_port(const struct server *server);
int server_start(struct server *server, struct app *app, struct error *err);

/* To be called about once a second: ends connections that are past their time. */
void server_tick(struct server *server);

/* No new connections; long polls answer (the caller closes the wakeup first); what runs has
 * SERVER_GRACE_MS to end, then its connection is cut, and SERVER_CUT_MS to see that. False: a
 * handler still runs (an archive is being unpacked); nothing may be freed then, only _exit. */
enum { SERVER_GRACE_MS = 4000, SERVER_CUT_MS = 3000 };
bool server_stop(struct server *server);
void server_free(struct server *server);

#endif
