#include "verifier/gate/gate_redis.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#ifdef TAILSLATE_REDIS_TLS
#include <arpa/inet.h>
#include <hiredis/hiredis_ssl.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#endif

#define NOT_REDIS "the server does not speak Redis"

struct gate_link {
    redisContext *redis;
    redisReplyObjectFunctions functions;
};

#if HIREDIS_MAJOR >= 1
typedef size_t elements;
#else
typedef int elements;
#endif

/* No command of ours is answered by a list, and hiredis would allocate as many elements as the
 * server announces. */
static void *refuse_list(const redisReadTask *task, elements count)
{
    (void)task, (void)count;
    return NULL;
}

static struct timeval time_of(int64_t ms)
{
    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
}

static int fail(const redisContext *redis, struct error *err)
{
    bool is_late = redis->err == REDIS_ERR_IO && (errno == EAGAIN || errno == EINPROGRESS);
    return error_set(err, ERROR_TEMPORARY, is_late ? ETIMEDOUT : 0, "%s",
                     is_late                            ? "no answer in time"
                     : redis->err == REDIS_ERR_EOF      ? "Redis closed the connection"
                     : redis->err == REDIS_ERR_PROTOCOL ? NOT_REDIS
                                                        : redis->errstr);
}

/* 0 would be no limit. */
static int limit_time(redisContext *redis, int64_t deadline_ms, struct error *err)
{
    int64_t left_ms = deadline_ms - mono_ms();
    return redisSetTimeout(redis, time_of(left_ms > 1 ? left_ms : 1)) == REDIS_OK
               ? 0
               : fail(redis, err);
}

#ifdef TAILSLATE_REDIS_TLS
const char *gate_redis_tls_is_missing(void)
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

static int start_tls(redisContext *redis, const char *host, struct error *err)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    must(context);
    bool is_good = SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
                   SSL_CTX_set_default_verify_paths(context) == 1;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL *ssl = SSL_new(context); /* holds a reference to the context */
    SSL_CTX_free(context);
    must(ssl);
    if (is_good && expect_host(ssl, host) && redisInitiateSSL(redis, ssl) == REDIS_OK)
        return 0;
    SSL_free(ssl); /* hiredis owns it only if it succeeded */
    return redis->err ? fail(redis, err) : error_set(err, ERROR_TEMPORARY, 0, "cannot set up TLS");
}
#else
const char *gate_redis_tls_is_missing(void)
{
    return "TLS (rediss://) needs hiredis 1.0 or later with libhiredis_ssl; this build has an "
           "older one";
}

static int start_tls(redisContext *redis, const char *host, struct error *err)
{
    (void)redis, (void)host;
    return error_set(err, ERROR_PERMANENT, 0, "%s", gate_redis_tls_is_missing());
}
#endif

/* By address: hiredis 0.14 tries IPv6 only for a name without any IPv4 address. */
static redisContext *connect_to(const struct addrinfo *address, struct error *err)
{
    char host[NI_MAXHOST], port[NI_MAXSERV];
    int failed = getnameinfo(address->ai_addr, address->ai_addrlen, host, sizeof host, port,
                             sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    must(failed == 0);
    redisContext *redis = redisConnectWithTimeout(host, (int)strtoimax(port, NULL, 10),
                                                  time_of(GATE_CONNECT_MS / GATE_ADDRESSES_MAX));
    must(redis);
    if (!redis->err && fcntl(redis->fd, F_SETFD, FD_CLOEXEC) == 0)
        return redis;
    fail(redis, err);
    redisFree(redis);
    return NULL;
}

static redisContext *connect_any(const struct gate_address *address, struct error *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *list;
    int failed = getaddrinfo(address->host, address->port, &hints, &list);
    if (failed) {
        error_set(err, ERROR_TEMPORARY, 0, "cannot resolve the host name: %s",
                  gai_strerror(failed));
        return NULL;
    }
    redisContext *redis = NULL;
    int tried = 0;
    for (struct addrinfo *at = list; at && !redis && tried < GATE_ADDRESSES_MAX; at = at->ai_next) {
        redis = connect_to(at, err);
        tried++;
    }
    freeaddrinfo(list);
    return redis;
}

static int greet(struct gate_link *link, const struct gate_address *address, const char *password,
                 struct error *err)
{
    struct gate_reply ignored;
    int64_t deadline_ms = mono_ms() + GATE_CONNECT_MS;
    const char *secret = password ? password : "";
    const char *const auth_user[] = {"AUTH", address->user, secret, NULL};
    const char *const auth[] = {"AUTH", secret, NULL}, *const select[] = {"SELECT", address->db,
                                                                          NULL};
    if (address->tls && (limit_time(link->redis, deadline_ms, err) != 0 ||
                         start_tls(link->redis, address->host, err) != 0))
        return error_wrap(err, "TLS");
    if ((address->user[0] || password) &&
        gate_link_call(link, address->user[0] ? auth_user : auth, deadline_ms, &ignored, err) != 0)
        return error_wrap(err, "AUTH");
    if (strcmp(address->db, "0") != 0 &&
        gate_link_call(link, select, deadline_ms, &ignored, err) != 0)
        return error_wrap(err, "SELECT");
    return 0;
}

struct gate_link *gate_link_open(const struct gate_address *address, const char *password,
                                 struct error *err)
{
    redisContext *redis = connect_any(address, err);
    if (!redis)
        return NULL;
    struct gate_link *link = must_calloc(1, sizeof *link);
    link->redis = redis;
    link->functions = *redis->reader->fn;
    link->functions.createArray = refuse_list;
    redis->reader->fn = &link->functions;
    if (greet(link, address, password, err) == 0)
        return link;
    gate_link_close(link);
    return NULL;
}

void gate_link_close(struct gate_link *link)
{
    if (!link)
        return;
    redisFree(link->redis);
    free(link);
}

static int take_reply(const redisReply *from, struct gate_reply *reply, struct error *err)
{
    bool is_text = from->type == REDIS_REPLY_STRING || from->type == REDIS_REPLY_STATUS;
    *reply = (struct gate_reply){.integer = from->integer, .size = is_text ? from->len : 0};
    reply->type = is_text                             ? GATE_REPLY_TEXT
                  : from->type == REDIS_REPLY_INTEGER ? GATE_REPLY_INTEGER
                                                      : GATE_REPLY_NONE;
    if (is_text)
        memcpy(reply->text, from->str,
               reply->size < sizeof reply->text ? reply->size : sizeof reply->text - 1);
    if (from->type == REDIS_REPLY_ERROR && strncmp(from->str, "WRONGTYPE ", 10) != 0)
        return error_set(err, ERROR_TEMPORARY, 0, "Redis answered %.*s",
                         (int)strcspn(from->str, " "), from->str);
    return 0;
}

/* Reads before it compares the time: a thread that was not scheduled for long finds its reply. */
static int receive(redisContext *redis, int64_t deadline_ms, struct gate_reply *reply,
                   struct error *err)
{
    void *got = NULL;
    do {
        if (limit_time(redis, deadline_ms, err) != 0)
            return -1;
        if (redisBufferRead(redis) != REDIS_OK)
            return fail(redis, err);
        if (redis->reader->len > GATE_REPLY_MAX_BYTES)
            return error_set(err, ERROR_TEMPORARY, 0, "the reply is longer than %d bytes",
                             GATE_REPLY_MAX_BYTES);
        if (redisReaderGetReply(redis->reader, &got) != REDIS_OK)
            return error_set(err, ERROR_TEMPORARY, 0, NOT_REDIS);
        if (!got && mono_ms() >= deadline_ms)
            return error_set(err, ERROR_TEMPORARY, ETIMEDOUT, "no answer in time");
    } while (!got);
    int result = take_reply(got, reply, err);
    freeReplyObject(got);
    /* A second reply would be taken for that of the next command. */
    if (redis->reader->pos < redis->reader->len)
        return error_set(err, ERROR_TEMPORARY, 0, "two replies to one command");
    return result;
}

int gate_link_call(struct gate_link *link, const char *const words[], int64_t deadline_ms,
                   struct gate_reply *reply, struct error *err)
{
    const char *copies[GATE_WORDS_MAX];
    int count = 0, done = 0;
    for (; words[count]; count++) {
        must(count < GATE_WORDS_MAX);
        copies[count] = words[count];
    }
    if (redisAppendCommandArgv(link->redis, count, copies, NULL) != REDIS_OK)
        return fail(link->redis, err);
    while (!done)
        if (limit_time(link->redis, deadline_ms, err) != 0 ||
            redisBufferWrite(link->redis, &done) != REDIS_OK)
            return fail(link->redis, err);
    return receive(link->redis, deadline_ms, reply, err);
}
