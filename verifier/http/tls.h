/* tls: the certificate, key and client CA files, and the check of a client's certificate; the only
 * file that knows GnuTLS.
 *
 * The files are read at the start and at a reload. Connections that are open keep the credentials
 * that they began with. */
#ifndef VERIFIER_TLS_H
#define VERIFIER_TLS_H

#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>

/* TLS 1.2 and 1.3, authenticated ciphers, forward secrecy. */
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

/* Reads and checks: PEM, the key matches the certificate. An expired one is logged and served. */
int tls_read(const struct tls_files *files, struct tls *tls, struct error *err);
void tls_fini(struct tls *tls);

/* What sessions present and trust; counted by reference. */
struct tls_credentials;
struct tls_credentials *tls_credentials_new(const struct tls *tls); /* read by tls_read */
/* For a GnuTLS session before its handshake; it holds a reference until its end. */
struct tls_credentials *tls_credentials_use(struct tls_credentials *credentials, void *session);
void tls_credentials_release(struct tls_credentials *credentials); /* NULL is fine */
bool tls_credentials_ask_client(const struct tls_credentials *credentials);

/* session: after its handshake, with a client CA as its trust. */
bool tls_client_is_trusted(void *session, char *why, size_t size);

#endif
