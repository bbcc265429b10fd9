/* few_lines: a server of a few lines, which says what each test of http wants. */
#ifndef UNIT_AGENT_FEW_LINES_H
#define UNIT_AGENT_FEW_LINES_H

#include "agent/api/http.h"

#include <pthread.h>

enum { REQUEST_BYTES = 65536, PATIENCE_MS = 10 * 1000 };

struct server {
    int listener, stop[2];
    pthread_t thread;
    char url[64];
    const char *reply;
    size_t reply_size;
    bool hangs;  /* keeps the connection after the reply */
    size_t body; /* how much of a request's body to read */
    char request[REQUEST_BYTES];
    size_t request_size;
    int connections;
};

struct server *server_start(const char *reply);
/* A client of it; it listens from now on. */
struct http_client *server_connect(struct server *server);
void server_end(struct server *server, struct http_client *client);

struct http_request server_get(void);
/* One GET, and what came of it. */
struct http_answer server_once(const char *reply);

#endif
