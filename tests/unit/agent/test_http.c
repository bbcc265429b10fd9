/* One attempt against a server of a few lines, which says what each test wants. */
#include "../common/scratch.h"
#include "http.h"

#include "tailslate/clock.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

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

static bool wait_for(const struct server *server, int fd)
{
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = server->stop[0], .events = POLLIN}};
    return poll(fds, 2, PATIENCE_MS) > 0 && fds[1].revents == 0;
}

static bool is_whole(const struct server *server)
{
    const char *end = strstr(server->request, "\r\n\r\n");
    return end && server->request_size - (size_t)(end + 4 - server->request) >= server->body;
}

static void answer(struct server *server, int fd)
{
    server->request_size = 0;
    memset(server->request, 0, sizeof server->request);
    while (!is_whole(server) && wait_for(server, fd)) {
        ssize_t got = read(fd, server->request + server->request_size,
                           sizeof server->request - 1 - server->request_size);
        if (got <= 0)
            return;
        server->request_size += (size_t)got;
    }
    for (size_t sent = 0; sent < server->reply_size;) {
        ssize_t wrote = send(fd, server->reply + sent, server->reply_size - sent, MSG_NOSIGNAL);
        if (wrote <= 0)
            return;
        sent += (size_t)wrote;
    }
    if (server->hangs)
        wait_for(server, server->stop[0]);
}

static void *serve(void *ctx)
{
    struct server *server = ctx;
    while (wait_for(server, server->listener)) {
        FD(fd) = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            break;
        server->connections++;
        answer(server, fd);
        shutdown(fd, SHUT_WR);
    }
    return NULL;
}

static struct server *server_start(const char *reply)
{
    struct server *server = must_calloc(1, sizeof *server);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    server->reply = reply;
    server->reply_size = strlen(reply);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(pipe2(server->stop, O_CLOEXEC), 0);
    cr_assert_eq(bind(server->listener, (struct sockaddr *)&address, size), 0);
    cr_assert_eq(listen(server->listener, 8), 0);
    cr_assert_eq(getsockname(server->listener, (struct sockaddr *)&address, &size), 0);
    snprintf(server->url, sizeof server->url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    return server;
}

static struct http_client *connect_to(struct server *server)
{
    struct error err;
    cr_assert_eq(http_global_init(&err), 0);
    cr_assert_eq(pthread_create(&server->thread, NULL, serve, server), 0);
    struct http_settings settings = {.url = server->url, .api_key = "the-key"};
    struct http_client *client = http_client_new(&settings, &err);
    cr_assert(client, "%s", err.message);
    return client;
}

static void server_end(struct server *server, struct http_client *client)
{
    http_client_free(client);
    close(server->stop[1]);
    pthread_join(server->thread, NULL);
    close(server->stop[0]);
    close(server->listener);
    free(server);
}

static struct http_request get(void)
{
    struct http_request request = HTTP_REQUEST_INIT;
    request.method = "GET";
    request.path = "/api/worker/x";
    request.deadline_ms = PATIENCE_MS;
    return request;
}

static struct http_answer once(const char *reply)
{
    struct server *server = server_start(reply);
    struct http_client *client = connect_to(server);
    struct http_request request = get();
    struct http_answer answer = {0};
    http_perform(client, &request, &answer);
    server_end(server, client);
    return answer;
}

Test(http, a_silent_server_costs_the_deadline_and_no_more)
{
    struct server *server = server_start("");
    server->hangs = true;
    struct http_client *client = connect_to(server);
    struct http_request request = get();
    struct http_answer answer = {0};
    request.deadline_ms = 300;
    int64_t start_ms = mono_ms();
    http_perform(client, &request, &answer);
    int64_t took_ms = mono_ms() - start_ms;
    cr_expect_eq(answer.result, HTTP_UNREACHED);
    cr_expect_geq(took_ms, 300);
    cr_expect_lt(took_ms, 900, "%lld ms", (long long)took_ms);
    cr_expect(strstr(answer.error.message, "300 ms"), "%s", answer.error.message);
    http_answer_fini(&answer);
    server_end(server, client);
}

Test(http, a_transfer_that_stops_moving_is_ended_before_its_deadline)
{
    struct server *server = server_start("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx");
    server->hangs = true;
    struct http_client *client = connect_to(server);
    struct http_request request = get();
    struct http_answer answer = {0};
    request.stall_ms = 200;
    int64_t start_ms = mono_ms();
    http_perform(client, &request, &answer);
    cr_expect_eq(answer.result, HTTP_UNREACHED);
    cr_expect_lt(mono_ms() - start_ms, 2000);
    cr_expect(strstr(answer.error.message, "no byte"), "%s", answer.error.message);
    http_answer_fini(&answer);
    server_end(server, client);
}

Test(http, a_body_that_is_cut_short_is_no_answer)
{
    static const char *const replies[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"status\":\"ok\"}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{\"status\":",
        "HTTP/1.1 200 OK\r\nContent-Len",
        "",
    };
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        struct http_answer answer = once(replies[i]);
        cr_expect_eq(answer.result, HTTP_UNREACHED, "reply %zu: status %ld", i, answer.status);
        cr_expect(answer.error.message[0]);
        http_answer_fini(&answer);
    }
}

Test(http, a_body_over_the_limit_is_not_taken_in)
{
    enum { SIZE = 1024 * 1024 };
    TEXT(reply) = must_malloc(SIZE + 128);
    int head = snprintf(reply, 128, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", SIZE);
    memset(reply + head, 'x', SIZE);
    reply[head + SIZE] = '\0';
    struct http_answer answer = once(reply);
    cr_expect_eq(answer.result, HTTP_UNREACHED);
    cr_expect_eq(answer.error.code, EFBIG, "%s", answer.error.message);
    cr_expect_leq(answer.body_size, (size_t)HTTP_ANSWER_MAX_BYTES);
    http_answer_fini(&answer);
}

Test(http, a_head_without_an_end_is_not_taken_in)
{
    enum { SIZE = 1024 * 1024, LINE = 1024 };
    TEXT(reply) = must_malloc(SIZE + 128);
    memset(reply, 'x', SIZE);
    int head = snprintf(reply, 128, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
    for (size_t at = (size_t)head; at + LINE < SIZE; at += LINE) {
        memcpy(reply + at, "X-A: ", 5);
        memcpy(reply + at + LINE - 2, "\r\n", 2);
    }
    memcpy(reply + SIZE, "\r\n\r\n", 5);
    struct http_answer answer = once(reply);
    cr_expect_eq(answer.result, HTTP_UNREACHED);
    cr_expect_eq(answer.error.code, EFBIG, "%s", answer.error.message);
    http_answer_fini(&answer);
}

Test(http, a_redirect_is_an_answer_and_is_not_followed)
{
    struct server *elsewhere = server_start("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    TEXT(reply) = must_printf("HTTP/1.1 307 Go\r\nLocation: %s/\r\nContent-Length: 0\r\n\r\n",
                              elsewhere->url);
    struct http_answer answer = once(reply);
    cr_expect_eq(answer.result, HTTP_ANSWERED);
    cr_expect_eq(answer.status, 307);
    struct pollfd asked = {.fd = elsewhere->listener, .events = POLLIN};
    cr_expect_eq(poll(&asked, 1, 0), 0, "the key went elsewhere");
    close(elsewhere->listener);
    close(elsewhere->stop[0]);
    close(elsewhere->stop[1]);
    free(elsewhere);
    http_answer_fini(&answer);
}

Test(http, nobody_there_is_said)
{
    struct http_settings settings = {.url = "http://127.0.0.1:1", .api_key = "k"};
    struct http_request request = get();
    struct http_answer answer = {0};
    struct error err;
    cr_assert_eq(http_global_init(&err), 0);
    struct http_client *client = http_client_new(&settings, &err);
    http_perform(client, &request, &answer);
    cr_expect_eq(answer.result, HTTP_UNREACHED);
    cr_expect_str_eq(answer.body, "");
    cr_expect(answer.error.message[0]);
    http_answer_fini(&answer);
    http_client_free(client);
}

Test(http, a_url_of_another_kind_is_refused)
{
    static const char *const urls[] = {"file:///etc/passwd", "ftp://x", "x", ""};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct http_settings settings = {.url = urls[i], .api_key = "k"};
        struct error err;
        cr_expect_null(http_client_new(&settings, &err), "%s", urls[i]);
    }
}

Test(http, a_post_says_who_and_what)
{
    struct server *server = server_start("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                         "X-Request-ID: theirs\r\nETag: \"e\"\r\n"
                                         "Content-Length: 2\r\n\r\n{}");
    server->body = 7;
    struct http_client *client = connect_to(server);
    struct http_request request = get();
    struct http_answer answer = {0};
    request.method = "POST";
    request.body = "{\"a\":1}";
    request.body_size = 7;
    request.claim_epoch = 4;
    request.headers[0] = "Idempotency-Key: k";
    http_perform(client, &request, &answer);
    cr_expect_eq(answer.result, HTTP_ANSWERED);
    cr_expect_eq(answer.status, 200);
    cr_expect(answer.is_json);
    cr_expect_str_eq(answer.body, "{}");
    cr_expect_str_eq(answer.request_id, "theirs");
    cr_expect_str_eq(answer.etag, "\"e\"");
    cr_expect_eq(answer.retry_after_ms, -1);
    static const char *const lines[] = {"POST /api/worker/x HTTP/1.1\r\n",
                                        "X-Worker-API-Key: the-key\r\n",
                                        "X-Claim-Epoch: 4\r\n",
                                        "Idempotency-Key: k\r\n",
                                        "Content-Type: application/json\r\n",
                                        "X-Request-ID: ",
                                        "\r\n\r\n{\"a\":1}"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        cr_expect(strstr(server->request, lines[i]), "%s: %s", lines[i], server->request);
    cr_expect_not(strstr(server->request, "Expect:"));
    http_answer_fini(&answer);
    server_end(server, client);
}

Test(http, without_an_epoch_none_is_sent)
{
    struct server *server = server_start("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    struct http_client *client = connect_to(server);
    struct http_request request = get();
    struct http_answer answer = {0};
    request.method = "POST";
    http_perform(client, &request, &answer);
    cr_expect_not(strstr(server->request, "X-Claim-Epoch"));
    cr_expect(strstr(server->request, "Content-Length: 0\r\n"));
    http_answer_fini(&answer);
    server_end(server, client);
}

static int64_t retry_after_of(const char *value)
{
    TEXT(reply) = must_printf("HTTP/1.1 503 No\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n",
                              value);
    struct http_answer answer = once(reply);
    int64_t retry_after_ms = answer.retry_after_ms;
    http_answer_fini(&answer);
    return retry_after_ms;
}

Test(http, retry_after_is_seconds_or_a_date_and_an_hour_at_most)
{
    cr_expect_eq(retry_after_of("7"), 7000);
    cr_expect_eq(retry_after_of("999999"), 3600 * 1000);
    cr_expect_eq(retry_after_of("Fri, 31 Dec 2100 23:59:59 GMT"), 3600 * 1000);
    cr_expect_leq(retry_after_of("Fri, 31 Dec 1999 23:59:59 GMT"), 0);
    cr_expect_leq(retry_after_of("soon"), 0);
}

Test(http, our_words_count_only_in_json)
{
    static const char body[] = "{\"detail\":\"went\",\"code\":\"claim_lost\"}";
    static const struct {
        const char *type;
        enum problem expected;
    } cases[] = {
        {"application/json", PROBLEM_CLAIM_LOST},
        {"application/problem+json; charset=utf-8", PROBLEM_CLAIM_LOST},
        {"Application/JSON", PROBLEM_CLAIM_LOST},
        {"text/html", PROBLEM_NONE},
        {"application/jsonx", PROBLEM_NONE},
        {"", PROBLEM_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        TEXT(reply) = must_printf(
            "HTTP/1.1 409 Conflict\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%s",
            cases[i].type, strlen(body), body);
        struct http_answer answer = once(reply);
        cr_expect_eq(answer.problem.problem, cases[i].expected, "%s", cases[i].type);
        http_answer_fini(&answer);
    }
}

static bool stop_at_once(void *ctx, int64_t received, int64_t total)
{
    int64_t *seen = ctx;
    seen[0] = received;
    seen[1] = total;
    return false;
}

Test(http, a_body_goes_into_the_sink_and_a_refusal_does_not)
{
    SCRATCH(scratch);
    struct server *server = server_start("HTTP/1.1 206 Part\r\nContent-Length: 4\r\n\r\nfilm");
    struct http_client *client = connect_to(server);
    struct http_request request = get();
    struct http_answer answer = {0};
    scratch_put_text(&scratch, "source", "a ");
    FD(fd) = openat(scratch.fd, "source", O_RDWR | O_CLOEXEC);
    cr_assert_eq(lseek(fd, 0, SEEK_END), 2);
    request.sink_fd = fd;
    http_perform(client, &request, &answer);
    cr_expect_eq(answer.status, 206);
    cr_expect_str_eq(answer.body, "");
    cr_expect_str_eq(scratch_get(&scratch, "source"), "a film");
    http_answer_fini(&answer);
    server->reply = "HTTP/1.1 404 No\r\nContent-Length: 4\r\n\r\nnone";
    server->reply_size = strlen(server->reply);
    http_perform(client, &request, &answer);
    cr_expect_str_eq(answer.body, "none");
    cr_expect_str_eq(scratch_get(&scratch, "source"), "a film");
    http_answer_fini(&answer);
    server_end(server, client);
}

Test(http, whoever_takes_the_body_may_stop_it)
{
    SCRATCH(scratch);
    struct server *server = server_start("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfilm");
    struct http_client *client = connect_to(server);
    struct http_request request = get();
    struct http_answer answer = {0};
    int64_t seen[2] = {0};
    scratch_put_text(&scratch, "source", "");
    FD(fd) = openat(scratch.fd, "source", O_RDWR | O_CLOEXEC);
    request.sink_fd = fd;
    request.on_sink = stop_at_once;
    request.sink_ctx = seen;
    http_perform(client, &request, &answer);
    cr_expect_eq(answer.result, HTTP_LOCAL);
    cr_expect_eq(seen[0], 4);
    cr_expect_eq(seen[1], 4);
    http_answer_fini(&answer);
    server_end(server, client);
}

Test(http, a_full_disk_is_our_trouble_and_not_the_server_s)
{
    struct server *server = server_start("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfilm");
    struct http_client *client = connect_to(server);
    struct http_request request = get();
    struct http_answer answer = {0};
    FD(full) = open("/dev/full", O_WRONLY | O_CLOEXEC);
    request.sink_fd = full;
    http_perform(client, &request, &answer);
    cr_expect_eq(answer.result, HTTP_LOCAL);
    cr_expect_eq(answer.error.code, ENOSPC, "%s", answer.error.message);
    http_answer_fini(&answer);
    server_end(server, client);
}

Test(http, a_file_is_sent_raw_or_as_the_field_file)
{
    SCRATCH(scratch);
    struct server *server = server_start("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    server->body = 7;
    struct http_client *client = connect_to(server);
    struct http_answer answer = {0};
    struct http_request request = get();
    scratch_put_text(&scratch, "segment", "SEGMENT");
    FD(fd) = openat(scratch.fd, "segment", O_RDONLY | O_CLOEXEC);
    request.method = "POST";
    request.body_fd = fd;
    request.body_fd_size = 7;
    http_perform(client, &request, &answer);
    cr_expect_eq(answer.status, 200);
    cr_expect(strstr(server->request, "Content-Length: 7\r\n"), "%s", server->request);
    cr_expect(strstr(server->request, "\r\n\r\nSEGMENT"));
    http_answer_fini(&answer);

    request.multipart_name = "720p.tar.gz";
    server->body = 200;
    http_perform(client, &request, &answer);
    cr_expect_eq(answer.status, 200);
    cr_expect(strstr(server->request, "name=\"file\"; filename=\"720p.tar.gz\""), "%s",
              server->request);
    cr_expect(strstr(server->request, "\r\n\r\nSEGMENT\r\n--"), "%s", server->request);
    http_answer_fini(&answer);
    server_end(server, client);
}

static void count_call(void *ctx, const struct http_answer *answer)
{
    int *calls = ctx;
    (void)answer;
    ++*calls;
}

Test(http, a_cancelled_call_is_never_heard_of_again)
{
    struct server *server = server_start("");
    server->hangs = true;
    struct http_client *client = connect_to(server);
    struct http_request request = get();
    int calls = 0;
    request.deadline_ms = 50;
    struct http_call *call = http_start(client, &request, count_call, &calls);
    http_wait(client, NULL, 0, 10);
    http_cancel(call);
    http_wait(client, NULL, 0, 100);
    cr_expect_eq(calls, 0);
    http_start(client, &request, count_call, &calls); /* and what still runs ends with the client */
    server_end(server, client);
    cr_expect_eq(calls, 0);
}

Test(http, its_sockets_do_not_leak_into_steps)
{
    struct server *server = server_start("");
    server->hangs = true;
    struct http_client *client = connect_to(server);
    struct http_request request = get();
    int calls = 0, sockets = 0;
    http_start(client, &request, count_call, &calls);
    for (int64_t end_ms = mono_ms() + PATIENCE_MS; !server->request[0] && mono_ms() < end_ms;)
        http_wait(client, NULL, 0, 10);
    for (int fd = 3; fd < 256; fd++) {
        struct sockaddr_storage peer;
        socklen_t size = sizeof peer;
        if (getpeername(fd, (struct sockaddr *)&peer, &size) != 0 || peer.ss_family != AF_INET)
            continue;
        sockets++;
        cr_expect(fcntl(fd, F_GETFD) & FD_CLOEXEC, "descriptor %d", fd);
    }
    cr_expect_geq(sockets, 1);
    server_end(server, client);
}

Test(http, an_extra_descriptor_ends_the_wait)
{
    struct http_settings settings = {.url = "http://127.0.0.1:1", .api_key = "k"};
    struct error err;
    int ends[2];
    cr_assert_eq(http_global_init(&err), 0);
    struct http_client *client = http_client_new(&settings, &err);
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    struct http_wait_fd extra = {.fd = ends[0], .events = POLLIN};
    cr_expect_eq(http_wait(client, &extra, 1, 20), 0);
    cr_assert_eq(write(ends[1], "x", 1), 1);
    int64_t start_ms = mono_ms();
    cr_expect_eq(http_wait(client, &extra, 1, PATIENCE_MS), 1);
    cr_expect(extra.revents & POLLIN);
    cr_expect_lt(mono_ms() - start_ms, 1000);
    close(ends[0]);
    close(ends[1]);
    http_client_free(client);
}

Test(http, a_component_is_escaped_whole)
{
    TEXT(escaped) = http_escape("a b/c?d&e%f\xC3\xBC~-._Z9\"'$");
    cr_expect_str_eq(escaped, "a%20b%2Fc%3Fd%26e%25f%C3%BC~-._Z9%22%27%24");
}

Test(http, a_lease_is_counted_by_the_server_s_clock_where_it_tells_the_time)
{
    struct http_answer answer = {.date_us = -1};
    const char *date = "2026-01-03T16:28:00Z";
    cr_assert(wall_parse(date, &answer.date_us));
    cr_expect_eq(http_lease_ms(&answer, "2026-01-03T16:30:00+00:00"), 120 * 1000,
                 "by our clock it ended long ago");
    cr_expect_eq(http_lease_ms(&answer, "2026-01-03T16:27:59Z"), 0);
    cr_expect_eq(http_lease_ms(&answer, "2026-01-05T16:28:00Z"), 0, "no claim lasts days");
    cr_expect_eq(http_lease_ms(&answer, "soon"), 0);
    answer.date_us = -1;
    char text[WALL_TEXT_BYTES];
    wall_format(wall_us() + INT64_C(60) * 1000000, text);
    int64_t lease_ms = http_lease_ms(&answer, text);
    cr_expect(lease_ms > 50 * 1000 && lease_ms <= 60 * 1000, "%lld", (long long)lease_ms);
}

Test(http, the_date_of_an_answer_is_read)
{
    struct server *server = server_start("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
                                         "Date: Sat, 03 Jan 2026 16:28:00 GMT\r\n"
                                         "Content-Type: application/json\r\n\r\n{}");
    struct http_client *client = connect_to(server);
    struct http_request request = HTTP_REQUEST_INIT;
    request.method = "GET";
    request.path = "/";
    struct http_answer answer;
    int64_t wanted_us;
    cr_assert(wall_parse("2026-01-03T16:28:00Z", &wanted_us));
    http_perform(client, &request, &answer);
    cr_expect_eq(answer.date_us, wanted_us, "%lld", (long long)answer.date_us);
    http_answer_fini(&answer);
    server_end(server, client);
}
