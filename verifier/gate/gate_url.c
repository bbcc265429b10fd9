#include "verifier/gate/gate_redis.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

/* A part of the text that was given: at, size. */
struct part {
    const char *at;
    size_t size;
};

static int wrong(struct error *err, const char *what)
{
    return error_set(err, ERROR_PERMANENT, 0,
                     "%s; expected a URL like redis://user@host:6379/0, or rediss:// for TLS",
                     what);
}

static bool consists_of(struct part part, const char *more)
{
    for (size_t i = 0; i < part.size; i++) {
        char c = part.at[i];
        bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_word && !strchr(more, c))
            return false;
    }
    return part.size > 0;
}

static bool is_number(struct part part, long min, long max)
{
    enum { DIGITS_MAX = 9 };
    if (part.size == 0 || part.size > DIGITS_MAX)
        return false;
    long value = 0;
    for (size_t i = 0; i < part.size; i++) {
        if (part.at[i] < '0' || part.at[i] > '9')
            return false;
        value = value * 10 + (part.at[i] - '0');
    }
    return value >= min && value <= max;
}

/* False: longer than its room. */
static bool copy(struct part part, char *out, size_t size)
{
    if (part.size >= size)
        return false;
    memcpy(out, part.at, part.size);
    out[part.size] = '\0';
    return true;
}

static int parse_scheme(const char **at, bool *tls, struct error *err)
{
    *tls = strncmp(*at, "rediss://", strlen("rediss://")) == 0;
    if (!*tls && strncmp(*at, "redis://", strlen("redis://")) != 0)
        return wrong(err, "unknown scheme");
    *at += *tls ? strlen("rediss://") : strlen("redis://");
    return 0;
}

static int parse_user(const char **at, struct gate_address *address, struct error *err)
{
    address->user[0] = '\0';
    size_t authority = strcspn(*at, "/?#");
    const char *end = memrchr(*at, '@', authority);
    if (!end)
        return 0;
    struct part user = {*at, (size_t)(end - *at)};
    *at = end + 1;
    if (memchr(user.at, ':', user.size))
        return error_set(err, ERROR_PERMANENT, 0,
                         "the URL may not contain a password; put it in a file (mode 0600) and "
                         "set redis.password_file to its path");
    if (!consists_of(user, "-._~+") || !copy(user, address->user, sizeof address->user))
        return wrong(err, "the user may contain only letters, digits, - . _ ~ +");
    return 0;
}

static int parse_host(const char **at, struct gate_address *address, struct error *err)
{
    bool is_bracketed = **at == '[';
    if (is_bracketed)
        (*at)++;
    struct part host = {*at, strcspn(*at, is_bracketed ? "]/" : ":/?#")};
    *at += host.size;
    if (is_bracketed && *(*at)++ != ']')
        return wrong(err, "the closing bracket after the address is missing");
    struct in6_addr ignored;
    bool is_good = copy(host, address->host, sizeof address->host) &&
                   (is_bracketed ? inet_pton(AF_INET6, address->host, &ignored) == 1
                                 : consists_of(host, "-._"));
    return is_good ? 0 : wrong(err, "the host is neither a name nor an IP address");
}

static int parse_rest(const char *at, struct gate_address *address, struct error *err)
{
    struct part port = {"6379", 4}, db = {"0", 1};
    if (*at == ':') {
        port = (struct part){at + 1, strcspn(at + 1, "/?#")};
        at = port.at + port.size;
    }
    if (!is_number(port, 1, 65535) || !copy(port, address->port, sizeof address->port))
        return wrong(err, "the port is not a number from 1 to 65535");
    if (at[0] == '/' && at[1] != '\0') {
        db = (struct part){at + 1, strcspn(at + 1, "/?#")};
        at = db.at + db.size;
    } else if (at[0] == '/') {
        at++;
    }
    if (!is_number(db, 0, 999999999) || !copy(db, address->db, sizeof address->db))
        return wrong(err, "the database is not a number");
    return *at == '\0' ? 0 : wrong(err, "unexpected characters after the database number");
}

int gate_url_parse(const char *url, struct gate_address *address, struct error *err)
{
    const char *at = url;
    if (parse_scheme(&at, &address->tls, err) != 0 || parse_user(&at, address, err) != 0 ||
        parse_host(&at, address, err) != 0)
        return -1;
    return parse_rest(at, address, err);
}
