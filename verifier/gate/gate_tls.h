/* gate_tls: TLS to Redis, where hiredis has it (1.0 and later, with libhiredis_ssl); the only place
 * of ours that knows OpenSSL's half of it. The server's certificate must lead to an authority of
 * the system's and carry the host's name or address: there is no way to leave that out. */
#ifndef VERIFIER_GATE_TLS_H
#define VERIFIER_GATE_TLS_H

#include "lib/error.h"

/* NULL: it is; else why this build has no TLS to Redis. */
const char *gate_tls_is_missing(void);

struct ssl_st;
/* A client's half of one connection. */
struct ssl_st *gate_tls_new(const char *host, struct error *err);
void gate_tls_free(struct ssl_st *ssl);

#endif
