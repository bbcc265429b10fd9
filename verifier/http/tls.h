/* tls: what of TLS is not the HTTP library's: the three files, whether they fit each other, and who
 * the client is (GnuTLS stands behind it, and nowhere else).
 *
 * The files are read once. A renewed certificate takes a restart, which costs no job anything. */
#ifndef VERIFIER_TLS_H
#define VERIFIER_TLS_H

#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>

/* TLS 1.2 and 1.3, ciphers that authenticate what they encrypt, keys that are forgotten. */
#define TLS_PRIORITIES                                                                             \
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-CIPHER-ALL:+AES-256-GCM:+CHACHA20-POLY1305:"      \
    "+AES-128-GCM:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:%SERVER_PRECEDENCE"

struct tls_files {
    const char *certificate, *key, *client_ca; /* paths; "" = none */
};

struct tls {
    char *certificate, *key; /* PEM, owned; NULL = no TLS */
    char *client_ca;         /* NULL = clients need no certificate */
};

/* Reads and checks: PEM, the key fits the certificate. One that has expired is logged, and served.
 */
int tls_read(const struct tls_files *files, struct tls *tls, struct error *err);
void tls_fini(struct tls *tls);

/* session: a GnuTLS session after its handshake, with tls->client_ca as its trust. */
bool tls_client_is_trusted(void *session, char *why, size_t size);

#endif
