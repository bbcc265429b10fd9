/* gate_redis: one connection to one Redis; the only file that knows hiredis and OpenSSL.
 *
 * Each call ends by its deadline: the kernel bounds each read and write, and a server that sends a
 * byte now and then is cut here. A reply is one value of at most GATE_REPLY_MAX_BYTES; a longer
 * one, a list, or any other failure breaks the connection: close it then. Errors never carry a
 * password, nor any text of the server's but the first word of a refusal: some servers repeat the
 * command.
 *
 * TLS needs hiredis 1.0. The server's certificate must lead to an authority that the system trusts
 * and carry the host's name or address.
 *
 * One thread at a time. SIGPIPE has to be ignored. */
#ifndef VERIFIER_GATE_REDIS_H
#define VERIFIER_GATE_REDIS_H

#include "verifier/gate/gate_url.h"

#include <stddef.h>
#include <stdint.h>

enum {
    GATE_CONNECT_MS = 1000, /* for all addresses; then once more for TLS and authentication */
    GATE_ADDRESSES_MAX = 4, /* of a name are tried, each for its share of GATE_CONNECT_MS */
    GATE_WORDS_MAX = 8,     /* of a command */
    GATE_TEXT_BYTES = 128,  /* of a reply are copied */
    GATE_REPLY_MAX_BYTES = 4096,
};

/* NULL: this build has TLS to Redis; otherwise why not. */
const char *gate_redis_tls_is_missing(void);

struct gate_link;
/* Resolves (which has no deadline: never on a thread that somebody waits for), connects,
 * authenticates, selects. password NULL: none. */
struct gate_link *gate_link_open(const struct gate_address *address, const char *password,
                                 struct error *err);
void gate_link_close(struct gate_link *link); /* NULL is fine */

enum gate_reply_type { GATE_REPLY_NONE, GATE_REPLY_INTEGER, GATE_REPLY_TEXT };
struct gate_reply {
    enum gate_reply_type type; /* NONE also where the key has another type than the command's */
    int64_t integer;
    char text[GATE_TEXT_BYTES]; /* truncated */
    size_t size;                /* before that */
};
/* words: the command, NULL-terminated. A refusal by Redis is an error. */
int gate_link_call(struct gate_link *link, const char *const words[], int64_t deadline_mono_ms,
                   struct gate_reply *reply, struct error *err);

#endif
