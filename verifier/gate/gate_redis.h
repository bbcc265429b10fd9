/* gate_redis: one connection to one Redis; the only place that knows hiredis.
 *
 * Each call ends by its deadline, whatever the server does: the socket never blocks, the loop is
 * ours. A reply is one value of at most GATE_REPLY_MAX_BYTES; a longer one or a list breaks the
 * connection, as does everything that goes wrong: then close it. What Redis refuses is no failure
 * here, the caller knows which refusals are answers. Errors never carry a password, nor text of the
 * server's but the first word of a refusal: some servers repeat the words of the command.
 *
 * One thread at a time. SIGPIPE has to be ignored. */
#ifndef VERIFIER_GATE_REDIS_H
#define VERIFIER_GATE_REDIS_H

#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GATE_HOST_BYTES = 254,
    GATE_USER_BYTES = 65,
    GATE_CONNECT_MS = 1000, /* off the hot path: all addresses, TLS, authentication */
    GATE_ADDRESSES_MAX = 4, /* of a name are tried, each for its share of GATE_CONNECT_MS */
    GATE_WORDS_MAX = 8,     /* of a command */
    GATE_TEXT_BYTES = 128,  /* of a reply that are kept */
    GATE_REPLY_MAX_BYTES = 4096,
};

struct gate_address {
    char host[GATE_HOST_BYTES], port[6], user[GATE_USER_BYTES]; /* user "": none */
    char db[12];                                                /* "0" is not selected */
    bool tls;
};
/* redis://[user@]host[:port][/db]; rediss:// for TLS. PERMANENT errors, without what it holds. */
int gate_url_parse(const char *url, struct gate_address *address, struct error *err);

struct gate_link;
/* Resolves (which has no deadline: never on a thread that somebody waits for), connects,
 * authenticates, selects. password NULL: none. */
struct gate_link *gate_link_open(const struct gate_address *address, const char *password,
                                 struct error *err);
void gate_link_close(struct gate_link *link); /* NULL is fine */

enum gate_reply_type { GATE_REPLY_NIL, GATE_REPLY_INTEGER, GATE_REPLY_TEXT, GATE_REPLY_REFUSAL };
struct gate_reply {
    enum gate_reply_type type;
    int64_t integer;
    char text[GATE_TEXT_BYTES]; /* cut; of a refusal the first word */
    size_t size;                /* before it was cut */
};
int gate_link_call(struct gate_link *link, const char *const words[], size_t count,
                   int64_t deadline_mono_ms, struct gate_reply *reply, struct error *err);

#endif
