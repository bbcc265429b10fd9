#include "verifier/gate/gate_redis.h"

#include "base/clock.h"
#include "lib/cleanup.h"
#include "verifier/gate/gate_tls.h"

#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#ifdef TAILSLATE_REDIS_TLS
#include <hiredis/hiredis_ssl.h>
#endif
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

struct gate_link {
    redisContext *redis;
    redisReplyObjectFunctions functions;
};

#if HIREDIS_MAJOR >= 1
typedef size_t elements;
#else
typedef int elements;
#endif

/* No command of ours is answered by a list, and hiredis would make room for as many elements as the
 * other side claims to have. */
static void *refuse_list(const redisReadTask *task, elements count)
{
    (void)task, (void)count;
    return NULL;
}

static int late(struct error *err, const char *what)
{
    return error_set(err, ERROR_TEMPORARY, ETIMEDOUT, "%s: no answer in time", what);
}

/* 0: ready. */
static int wait_for(int fd, short events, int64_t deadline_ms, const char *what, struct error *err)
{
    struct pollfd ready = {.fd = fd, .events = events};
    for (;;) {
        int64_t left_ms = deadline_ms - mono_ms();
        int got = poll(&ready, 1, left_ms > 0 ? (int)left_ms : 0);
        if (got > 0)
            return 0;
        if (got == 0)
            return late(err, what);
        if (errno != EINTR)
            return error_errno(err, "poll");
    }
}

static int connect_within(int fd, const struct addrinfo *address, int64_t deadline_ms,
                          struct error *err)
{
    if (connect(fd, address->ai_addr, address->ai_addrlen) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return error_errno(err, "connect");
    int result = 0;
    socklen_t size = sizeof result;
    if (wait_for(fd, POLLOUT, deadline_ms, "connect", err) != 0)
        return -1;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &result, &size) == 0 && result == 0)
        return 0;
    errno = result ? result : errno;
    return error_errno(err, "connect");
}

/* The socket, or -1. */
static int connect_one(const struct addrinfo *address, int64_t deadline_ms, struct error *err)
{
    const int on = 1;
    FD(fd) = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_errno(err, "socket");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect_within(fd, address, deadline_ms, err) != 0)
        return -1;
    return steal_fd(&fd);
}

static int connect_any(const struct gate_address *address, struct error *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *list;
    int failed = getaddrinfo(address->host, address->port, &hints, &list);
    if (failed)
        return error_set(err, ERROR_TEMPORARY, 0, "cannot resolve the host name: %s",
                         gai_strerror(failed));
    int fd = -1, tried = 0;
    for (struct addrinfo *at = list; at && fd < 0 && tried < GATE_ADDRESSES_MAX; at = at->ai_next) {
        fd = connect_one(at, mono_ms() + GATE_CONNECT_MS / GATE_ADDRESSES_MAX, err);
        tried++;
    }
    freeaddrinfo(list);
    return fd;
}

static int of_hiredis(const struct gate_link *link, struct error *err)
{
    return error_set(err, ERROR_TEMPORARY, 0, "%s",
                     link->redis->err == REDIS_ERR_EOF        ? "Redis closed the connection"
                     : link->redis->err == REDIS_ERR_PROTOCOL ? "the server does not speak Redis"
                                                              : link->redis->errstr);
}

#ifdef TAILSLATE_REDIS_TLS
/* The handshake alone is left to block, each read and write for its share: hiredis does not say
 * which of the two a half-done handshake waits for. */
static int start_tls(struct gate_link *link, const char *host, struct error *err)
{
    const struct timeval share = {.tv_usec = GATE_CONNECT_MS * 1000 / 4};
    int fd = link->redis->fd, flags = fcntl(fd, F_GETFL);
    struct ssl_st *ssl = gate_tls_new(host, err);
    if (!ssl)
        return -1;
    fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &share, sizeof share);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &share, sizeof share);
    link->redis->flags |= REDIS_BLOCK;
    int started = redisInitiateSSL(link->redis, ssl);
    link->redis->flags &= ~REDIS_BLOCK;
    fcntl(fd, F_SETFL, flags);
    if (started == REDIS_OK)
        return 0;
    gate_tls_free(ssl); /* hiredis owns it only where it went well */
    return of_hiredis(link, err);
}
#else
static int start_tls(struct gate_link *link, const char *host, struct error *err)
{
    (void)link, (void)host;
    return error_set(err, ERROR_PERMANENT, 0, "%s", gate_tls_is_missing());
}
#endif

static int must_go_well(struct gate_link *link, const char *const words[], size_t count,
                        int64_t deadline_ms, struct error *err)
{
    struct gate_reply reply;
    if (gate_link_call(link, words, count, deadline_ms, &reply, err) != 0)
        return error_wrap(err, "%s", words[0]);
    if (reply.type == GATE_REPLY_REFUSAL)
        return error_set(err, ERROR_TEMPORARY, 0, "%s: Redis answered %s", words[0], reply.text);
    return 0;
}

static int greet(struct gate_link *link, const struct gate_address *address, const char *password,
                 struct error *err)
{
    int64_t deadline_ms = mono_ms() + GATE_CONNECT_MS;
    if (address->tls && start_tls(link, address->host, err) != 0)
        return error_wrap(err, "TLS");
    const char *secret = password ? password : "";
    const char *auth_user[] = {"AUTH", address->user, secret}, *auth[] = {"AUTH", secret};
    const char *select[] = {"SELECT", address->db};
    if (address->user[0] && must_go_well(link, auth_user, 3, deadline_ms, err) != 0)
        return -1;
    if (!address->user[0] && password && must_go_well(link, auth, 2, deadline_ms, err) != 0)
        return -1;
    return strcmp(address->db, "0") == 0 ? 0 : must_go_well(link, select, 2, deadline_ms, err);
}

struct gate_link *gate_link_open(const struct gate_address *address, const char *password,
                                 struct error *err)
{
    int fd = connect_any(address, err);
    if (fd < 0)
        return NULL;
    struct gate_link *link = must_calloc(1, sizeof *link);
    link->redis = redisConnectFd(fd);
    must(link->redis);
    link->redis->flags &= ~REDIS_BLOCK;
    link->functions = *link->redis->reader->fn;
    link->functions.createArray = refuse_list;
    link->redis->reader->fn = &link->functions;
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

static void keep(const redisReply *from, struct gate_reply *reply)
{
    *reply = (struct gate_reply){.integer = from->integer};
    switch (from->type) {
    case REDIS_REPLY_INTEGER:
        reply->type = GATE_REPLY_INTEGER;
        return;
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
        reply->type = GATE_REPLY_TEXT;
        break;
    case REDIS_REPLY_ERROR:
        reply->type = GATE_REPLY_REFUSAL;
        break;
    default: /* of hiredis's own words, which grow */
        reply->type = GATE_REPLY_NIL;
        return;
    }
    reply->size = from->type == REDIS_REPLY_ERROR ? strcspn(from->str, " ") : from->len;
    size_t kept = reply->size < sizeof reply->text ? reply->size : sizeof reply->text - 1;
    memcpy(reply->text, from->str, kept);
}

static int send_all(struct gate_link *link, int64_t deadline_ms, struct error *err)
{
    for (int done = 0;;) {
        if (redisBufferWrite(link->redis, &done) != REDIS_OK)
            return of_hiredis(link, err);
        if (done)
            return 0;
        if (wait_for(link->redis->fd, POLLOUT, deadline_ms, "send", err) != 0)
            return -1;
    }
}

/* Looks for data before the deadline is looked at: who was long off the processor finds its reply.
 */
static int receive(struct gate_link *link, int64_t deadline_ms, struct gate_reply *reply,
                   struct error *err)
{
    for (;;) {
        void *got = NULL;
        if (wait_for(link->redis->fd, POLLIN, deadline_ms, "receive", err) != 0)
            return -1;
        if (redisBufferRead(link->redis) != REDIS_OK)
            return of_hiredis(link, err);
        if (link->redis->reader->len > GATE_REPLY_MAX_BYTES)
            return error_set(err, ERROR_TEMPORARY, 0, "the reply is longer than %d bytes",
                             GATE_REPLY_MAX_BYTES);
        if (redisReaderGetReply(link->redis->reader, &got) != REDIS_OK)
            return error_set(err, ERROR_TEMPORARY, 0, "the server does not speak Redis");
        if (!got)
            continue;
        keep(got, reply);
        freeReplyObject(got);
        /* One question, one answer: a second one would be taken for that of the next question. */
        if (link->redis->reader->pos < link->redis->reader->len)
            return error_set(err, ERROR_TEMPORARY, 0, "two replies to one command");
        return 0;
    }
}

int gate_link_call(struct gate_link *link, const char *const words[], size_t count,
                   int64_t deadline_ms, struct gate_reply *reply, struct error *err)
{
    const char *copies[GATE_WORDS_MAX];
    must(count <= GATE_WORDS_MAX);
    memcpy(copies, words, count * sizeof *words);
    if (redisAppendCommandArgv(link->redis, (int)count, copies, NULL) != REDIS_OK)
        return of_hiredis(link, err);
    if (send_all(link, deadline_ms, err) != 0)
        return -1;
    return receive(link, deadline_ms, reply, err);
}
