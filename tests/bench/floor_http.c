/* The floor of an HTTP answer: libmicrohttpd alone, which reads a body and answers 200 bytes.
 *
 *   floor_http PORT      serves on 127.0.0.1 until standard input ends */
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS = 2 };

static enum MHD_Result on_access(void *ctx, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *data,
                                 size_t *size, void **request)
{
    static char body[200] = "{\"status\":\"ok\"";
    static int seen;
    (void)ctx, (void)url, (void)method, (void)version, (void)data;
    if (!*request) {
        *request = &seen;
        return MHD_YES;
    }
    if (*size > 0) {
        *size = 0;
        return MHD_YES;
    }
    struct MHD_Response *response = MHD_create_response_from_buffer(sizeof body, body,
                                                                    MHD_RESPMEM_PERSISTENT);
    enum MHD_Result queued = MHD_queue_response(connection, 200, response);
    MHD_destroy_response(response);
    return queued;
}

int main(int argc, char **argv)
{
    int port = argc == 2 ? atoi(argv[1]) : 0;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((unsigned short)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, on_access, NULL, MHD_OPTION_SOCK_ADDR,
        &address, MHD_OPTION_THREAD_POOL_SIZE, THREADS, MHD_OPTION_END);
    if (port == 0 || !daemon) {
        fprintf(stderr, "usage: floor_http PORT (a free one)\n");
        return 64;
    }
    for (char byte; read(STDIN_FILENO, &byte, 1) > 0;)
        ;
    MHD_stop_daemon(daemon);
    return 0;
}
