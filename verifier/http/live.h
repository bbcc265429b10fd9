/* live: what may change while the server serves and every connection reads: the credentials of new
 * TLS sessions, the trusted proxy. Safe from all threads. */
#ifndef VERIFIER_LIVE_H
#define VERIFIER_LIVE_H

#include "verifier/http/tls.h"

#include <stdbool.h>

struct live;
struct live *live_new(const struct tls *tls, const char *trusted_proxy);
void live_free(struct live *live); /* NULL is fine */
/* tls and trusted_proxy are copied. */
void live_change(struct live *live, const struct tls *tls, const char *trusted_proxy);

/* A reference for tls_credentials_release; session: before its handshake. */
struct tls_credentials *live_begin_session(struct live *live, void *session);
bool live_is_trusted_proxy(struct live *live, const char *client);

#endif
