#include "verifier/gate/gate_url.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>

#define DIGITS  "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS
#define EXAMPLE "; expected a URL like redis://user@host:6379/0, or rediss:// for TLS"

/* Copies the characters of `set` at *at and moves on. False: there are none, or too many. */
static bool take(const char **at, const char *set, char *out, size_t size)
{
    size_t length = strspn(*at, set);
    if (length == 0 || length >= size)
        return false;
    memcpy(out, *at, length);
    out[length] = '\0';
    *at += length;
    return true;
}

static bool skip(const char **at, const char *text)
{
    bool is_there = strncmp(*at, text, strlen(text)) == 0;
    *at += is_there ? strlen(text) : 0;
    return is_there;
}

static const char *take_user(const char **at, struct gate_address *address)
{
    const char *end = memrchr(*at, '@', strcspn(*at, "/?#"));
    if (!end)
        return NULL;
    if (memchr(*at, ':', (size_t)(end - *at)))
        return "the URL may not contain a password; put it in a file (mode 0600) and set "
               "redis.password_file to its path";
    return take(at, LETTERS "-._~+", address->user, sizeof address->user) && skip(at, "@")
               ? NULL
               : "the user may contain only letters, digits, - . _ ~ +" EXAMPLE;
}

static const char *take_host(const char **at, struct gate_address *address)
{
    struct in6_addr ignored;
    bool is_bracketed = skip(at, "[");
    bool is_good = take(at, is_bracketed ? LETTERS ":." : LETTERS "-._", address->host,
                        sizeof address->host);
    if (is_bracketed && !skip(at, "]"))
        return "the closing bracket after the address is missing" EXAMPLE;
    bool is_over = **at == '\0' || strchr(":/?#", **at);
    if (is_good && (is_bracketed ? inet_pton(AF_INET6, address->host, &ignored) == 1 : is_over))
        return NULL;
    return "the host is neither a name nor an IP address" EXAMPLE;
}

static const char *take_rest(const char *at, struct gate_address *address)
{
    if (skip(&at, ":") &&
        (!take(&at, DIGITS, address->port, sizeof address->port) ||
         strtoimax(address->port, NULL, 10) < 1 || strtoimax(address->port, NULL, 10) > 65535))
        return "the port is not a number from 1 to 65535" EXAMPLE;
    if (skip(&at, "/") && *at && !take(&at, DIGITS, address->db, sizeof address->db))
        return "the database is not a number" EXAMPLE;
    return *at ? "unexpected characters after the database number" EXAMPLE : NULL;
}

int gate_url_parse(const char *url, struct gate_address *address, struct error *err)
{
    *address = (struct gate_address){.port = "6379", .db = "0"};
    address->tls = skip(&url, "rediss://");
    const char *problem = address->tls || skip(&url, "redis://") ? NULL : "unknown scheme" EXAMPLE;
    if (!problem)
        problem = take_user(&url, address);
    if (!problem)
        problem = take_host(&url, address);
    if (!problem)
        problem = take_rest(url, address);
    return problem ? error_set(err, ERROR_PERMANENT, 0, "%s", problem) : 0;
}
