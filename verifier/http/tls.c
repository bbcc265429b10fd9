#include "verifier/http/tls.h"

#include "base/log.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PEM_MAX_BYTES = 256 * 1024 };

enum pem { PEM_PUBLIC, PEM_PRIVATE };

/* A private key of Debian's ssl-cert is 0640: its group may read it. */
static int check_private(const char *path, int fd, struct error *err)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return error_errno(err, "%s", path);
    if (!(status.st_mode & S_IRWXO))
        return 0;
    return error_set(err, ERROR_PERMANENT, EACCES,
                     "%s: mode %04o gives everybody access to the private key; use 0600 or 0640",
                     path, (unsigned)(status.st_mode & 07777));
}

static int read_pem(const char *path, enum pem kind, char **text, struct error *err)
{
    if (!path[0])
        return 0;
    FD(fd) = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, "%s", path);
    if (kind == PEM_PRIVATE && check_private(path, fd, err) != 0)
        return -1;
    TEXT(buffer) = must_calloc(1, PEM_MAX_BYTES + 1);
    size_t used = 0;
    for (ssize_t got = 1; got > 0 && used < PEM_MAX_BYTES; used += (size_t)got)
        if ((got = read(fd, buffer + used, PEM_MAX_BYTES - used)) < 0)
            return error_errno(err, "%s", path);
    if (!strstr(buffer, "-----BEGIN"))
        return error_set(err, ERROR_PERMANENT, EINVAL, "%s is not a PEM file", path);
    *text = steal_text(&buffer);
    return 0;
}

static gnutls_datum_t datum(const char *text)
{
    return (gnutls_datum_t){(unsigned char *)text, (unsigned)strlen(text)};
}

static int refuse(struct error *err, const char *path, int code)
{
    return error_set(err, ERROR_PERMANENT, EINVAL, "%s: %s", path, gnutls_strerror(code));
}

static int check_pair(const struct tls_files *files, const struct tls *tls, struct error *err)
{
    gnutls_certificate_credentials_t credentials;
    gnutls_datum_t certificate = datum(tls->certificate), key = datum(tls->key);
    must(gnutls_certificate_allocate_credentials(&credentials) == GNUTLS_E_SUCCESS);
    int code = gnutls_certificate_set_x509_key_mem(credentials, &certificate, &key,
                                                   GNUTLS_X509_FMT_PEM);
    gnutls_certificate_free_credentials(credentials);
    if (code == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
        return error_set(err, ERROR_PERMANENT, EINVAL, "%s is not the private key of %s",
                         files->key, files->certificate);
    return code < 0 ? refuse(err, files->certificate, code) : 0;
}

/* An expired one is still served, because clients may be configured to accept it. */
static void warn_of_expiry(const char *path, const char *pem)
{
    gnutls_x509_crt_t certificate;
    gnutls_datum_t data = datum(pem);
    must(gnutls_x509_crt_init(&certificate) == GNUTLS_E_SUCCESS);
    if (gnutls_x509_crt_import(certificate, &data, GNUTLS_X509_FMT_PEM) == GNUTLS_E_SUCCESS &&
        gnutls_x509_crt_get_expiration_time(certificate) < time(NULL))
        log_error("tls.certificate_expired", LOG_TEXT("file", path));
    gnutls_x509_crt_deinit(certificate);
}

static int check_authorities(const char *path, const char *pem, struct error *err)
{
    gnutls_certificate_credentials_t credentials;
    gnutls_datum_t data = datum(pem);
    must(gnutls_certificate_allocate_credentials(&credentials) == GNUTLS_E_SUCCESS);
    int count = gnutls_certificate_set_x509_trust_mem(credentials, &data, GNUTLS_X509_FMT_PEM);
    gnutls_certificate_free_credentials(credentials);
    if (count < 0)
        return refuse(err, path, count);
    return count > 0 ? 0
                     : error_set(err, ERROR_PERMANENT, EINVAL, "%s contains no certificate", path);
}

int tls_read(const struct tls_files *files, struct tls *tls, struct error *err)
{
    *tls = (struct tls){0};
    if (read_pem(files->certificate, PEM_PUBLIC, &tls->certificate, err) != 0 ||
        read_pem(files->key, PEM_PRIVATE, &tls->key, err) != 0 ||
        read_pem(files->client_ca, PEM_PUBLIC, &tls->client_ca, err) != 0 ||
        (tls->certificate && check_pair(files, tls, err) != 0) ||
        (tls->client_ca && check_authorities(files->client_ca, tls->client_ca, err) != 0)) {
        tls_fini(tls);
        return -1;
    }
    if (tls->certificate)
        warn_of_expiry(files->certificate, tls->certificate);
    return 0;
}

void tls_fini(struct tls *tls)
{
    if (tls->key)
        explicit_bzero(tls->key, strlen(tls->key));
    free(tls->certificate);
    free(tls->key);
    free(tls->client_ca);
    *tls = (struct tls){0};
}

struct tls_credentials {
    gnutls_certificate_credentials_t handle;
    bool asks_client;
    atomic_int references;
};

struct tls_credentials *tls_credentials_new(const struct tls *tls)
{
    struct tls_credentials *credentials = must_calloc(1, sizeof *credentials);
    gnutls_datum_t certificate = datum(tls->certificate), key = datum(tls->key);
    atomic_init(&credentials->references, 1);
    must(gnutls_certificate_allocate_credentials(&credentials->handle) == GNUTLS_E_SUCCESS);
    must(gnutls_certificate_set_x509_key_mem(credentials->handle, &certificate, &key,
                                             GNUTLS_X509_FMT_PEM) >= 0);
    credentials->asks_client = tls->client_ca != NULL;
    if (credentials->asks_client) {
        gnutls_datum_t authorities = datum(tls->client_ca);
        must(gnutls_certificate_set_x509_trust_mem(credentials->handle, &authorities,
                                                   GNUTLS_X509_FMT_PEM) > 0);
    }
    return credentials;
}

/* libmicrohttpd has given the session the credentials of the start. */
struct tls_credentials *tls_credentials_use(struct tls_credentials *credentials, void *session)
{
    must(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials->handle) ==
         GNUTLS_E_SUCCESS);
    gnutls_certificate_server_set_request(session, credentials->asks_client ? GNUTLS_CERT_REQUEST
                                                                            : GNUTLS_CERT_IGNORE);
    atomic_fetch_add(&credentials->references, 1);
    return credentials;
}

void tls_credentials_release(struct tls_credentials *credentials)
{
    if (!credentials || atomic_fetch_sub(&credentials->references, 1) > 1)
        return;
    gnutls_certificate_free_credentials(credentials->handle);
    free(credentials);
}

bool tls_credentials_ask_client(const struct tls_credentials *credentials)
{
    return credentials->asks_client;
}

bool tls_client_is_trusted(void *session, char *why, size_t size)
{
    unsigned status;
    gnutls_datum_t text;
    /* A client may not present a certificate that was issued for a server. */
    gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                     .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT};
    int code = gnutls_certificate_verify_peers(session, &purpose, 1, &status);
    if (code == GNUTLS_E_NO_CERTIFICATE_FOUND) {
        snprintf(why, size, "no certificate");
        return false;
    }
    if (code != GNUTLS_E_SUCCESS) {
        snprintf(why, size, "%s", gnutls_strerror(code));
        return false;
    }
    if (status == 0)
        return true;
    if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) ==
        GNUTLS_E_SUCCESS) {
        snprintf(why, size, "%s", text.data);
        gnutls_free(text.data);
    } else {
        snprintf(why, size, "not trusted");
    }
    return false;
}
