/* load_http: HTTP for the loader: one kept-alive connection to each server, nothing that it does
 * not need. A thread has its own. */
#ifndef BENCH_LOAD_HTTP_H
#define BENCH_LOAD_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SERVERS_MAX = 8, HTTP_ANSWER_BYTES = 32 * 1024, HTTP_WAIT_S = 15 };

struct http_server {
    char host[64], port[8];
};
/* http://host:port */
bool http_server_parse(const char *url, struct http_server *server);

enum http_result { HTTP_DONE, HTTP_REFUSED, HTTP_RESET };

struct http_client {
    const struct http_server *servers;
    const char *key;                /* of the worker */
    int fds[SERVERS_MAX];           /* -1: not connected */
    char answer[HTTP_ANSWER_BYTES]; /* the body of the last one, NUL behind it */
    int status;
};
void http_client_init(struct http_client *client, const struct http_server *servers,
                      const char *key);
void http_client_fini(struct http_client *client);

/* headers: lines that end with \r\n, or "". body NULL: GET. HTTP_DONE: status and answer are there,
 * whole. */
enum http_result http_call(struct http_client *client, int server, const char *path,
                           const char *headers, const void *body, size_t size);

#endif
