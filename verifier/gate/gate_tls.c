#include "verifier/gate/gate_tls.h"

#ifdef TAILSLATE_REDIS_TLS

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>

const char *gate_tls_is_missing(void)
{
    return NULL;
}

/* A name is sent (SNI) and compared; an address is only compared. */
static bool expect_host(SSL *ssl, const char *host)
{
    struct in6_addr ignored;
    if (inet_pton(AF_INET, host, &ignored) == 1 || inet_pton(AF_INET6, host, &ignored) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    return SSL_set_tlsext_host_name(ssl, host) == 1 && SSL_set1_host(ssl, host) == 1;
}

struct ssl_st *gate_tls_new(const char *host, struct error *err)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    must(context);
    bool is_good = SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
                   SSL_CTX_set_default_verify_paths(context) == 1;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL *ssl = SSL_new(context); /* keeps the context for as long as it lives */
    SSL_CTX_free(context);
    must(ssl);
    if (is_good && expect_host(ssl, host))
        return ssl;
    SSL_free(ssl);
    error_set(err, ERROR_TEMPORARY, 0, "cannot set up TLS");
    return NULL;
}

void gate_tls_free(struct ssl_st *ssl)
{
    SSL_free(ssl);
}

#else

#include <stddef.h>

const char *gate_tls_is_missing(void)
{
    return "TLS (rediss://) needs hiredis 1.0 or later with libhiredis_ssl; this build has an "
           "older one";
}

struct ssl_st *gate_tls_new(const char *host, struct error *err)
{
    (void)host;
    error_set(err, ERROR_PERMANENT, 0, "%s", gate_tls_is_missing());
    return NULL;
}

void gate_tls_free(struct ssl_st *ssl)
{
    (void)ssl;
}

#endif
