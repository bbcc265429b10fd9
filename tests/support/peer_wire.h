/* peer_wire: the bytes of peer.h's connections: read one request, pass it on, answer. Blocking,
 * with deadlines; a peer that breaks off is a normal end here. */
#ifndef SUPPORT_PEER_WIRE_H
#define SUPPORT_PEER_WIRE_H

#include <stdbool.h>
#include <stddef.h>

enum { WIRE_MESSAGE_MAX_BYTES = 64 << 20, WIRE_IDLE_MS = 90 * 1000 };

struct wire_bytes {
    char *data; /* owned, NUL-terminated */
    size_t size;
    size_t head_size; /* up to and with the empty line */
};

/* A whole request: head, and as many bytes as its Content-Length says (or the decoded chunks). */
bool wire_read_request(int fd, struct wire_bytes *request);
bool wire_send(int fd, const char *data, size_t size);
/* Send the request to that port as `Connection: close` and read all of the answer. client: who
 * waits for it; once that one has closed its connection, ours is closed too. -1: nobody. */
bool wire_forward(int port, const struct wire_bytes *request, struct wire_bytes *answer,
                  int client);
void wire_reset(int fd); /* close with RST */

#endif
