/* One attempt against a server of a few lines: its deadlines, what it sends and where it puts what
 * comes. */
#include "../base/scratch.h"
#include "base/clock.h"
#include "few_lines.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

Test(http, a_silent_server_costs_the_deadline_and_no_more)
{
    struct server *server = server_start("");
    server->hangs = true;
    struct http_client *client = server_connect(server);
    struct http_request request = server_get();
    struct http_answer answer = {0};
    request.deadline_ms = 300;
    int64_t start_ms = mono_ms();
    http_perform(client, &request, &answer);
    int64_t took_ms = mono_ms() - start_ms;
    cr_expect_eq(answer.reach, TAILSLATE_REACH_UNREACHED);
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
    struct http_client *client = server_connect(server);
    struct http_request request = server_get();
    struct http_answer answer = {0};
    request.stall_ms = 200;
    int64_t start_ms = mono_ms();
    http_perform(client, &request, &answer);
    cr_expect_eq(answer.reach, TAILSLATE_REACH_UNREACHED);
    cr_expect_lt(mono_ms() - start_ms, 2000);
    cr_expect(strstr(answer.error.message, "no data"), "%s", answer.error.message);
    http_answer_fini(&answer);
    server_end(server, client);
}

Test(http, nobody_there_is_said)
{
    struct http_settings settings = {.url = "http://127.0.0.1:1", .api_key = "k"};
    struct http_request request = server_get();
    struct http_answer answer = {0};
    struct error err;
    cr_assert_eq(http_global_init(&err), 0);
    struct http_client *client = http_client_new(&settings, &err);
    http_perform(client, &request, &answer);
    cr_expect_eq(answer.reach, TAILSLATE_REACH_UNREACHED);
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

/* It would stand in logs and status. */
Test(http, a_password_in_the_url_is_refused_and_not_repeated)
{
    struct error err;
    struct http_settings settings = {.url = "https://user:hunter2@server/", .api_key = "k"};
    struct http_client *client = http_client_new(&settings, &err);
    cr_assert_null(client);
    cr_expect_null(strstr(err.message, "hunter2"), "%s", err.message);
    settings.url = "http://[::1]:8080/a@b";
    client = http_client_new(&settings, &err);
    cr_assert(client, "%s", err.message);
    http_client_free(client);
}

Test(http, a_post_says_who_and_what)
{
    struct server *server = server_start("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                         "X-Request-ID: theirs\r\nETag: \"e\"\r\n"
                                         "Content-Length: 2\r\n\r\n{}");
    server->body = 7;
    struct http_client *client = server_connect(server);
    struct http_request request = server_get();
    struct http_answer answer = {0};
    request.method = "POST";
    request.body = "{\"a\":1}";
    request.body_size = 7;
    request.claim_epoch = 4;
    request.headers[0] = "Idempotency-Key: k";
    http_perform(client, &request, &answer);
    cr_expect_eq(answer.reach, TAILSLATE_REACH_ANSWERED);
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
    struct http_client *client = server_connect(server);
    struct http_request request = server_get();
    struct http_answer answer = {0};
    request.method = "POST";
    http_perform(client, &request, &answer);
    cr_expect_not(strstr(server->request, "X-Claim-Epoch"));
    cr_expect(strstr(server->request, "Content-Length: 0\r\n"));
    http_answer_fini(&answer);
    server_end(server, client);
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
    struct http_client *client = server_connect(server);
    struct http_request request = server_get();
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
    struct http_client *client = server_connect(server);
    struct http_request request = server_get();
    struct http_answer answer = {0};
    int64_t seen[2] = {0};
    scratch_put_text(&scratch, "source", "");
    FD(fd) = openat(scratch.fd, "source", O_RDWR | O_CLOEXEC);
    request.sink_fd = fd;
    request.on_sink = stop_at_once;
    request.sink_ctx = seen;
    http_perform(client, &request, &answer);
    cr_expect_eq(answer.reach, TAILSLATE_REACH_LOCAL_FAILURE);
    cr_expect_eq(seen[0], 4);
    cr_expect_eq(seen[1], 4);
    http_answer_fini(&answer);
    server_end(server, client);
}

Test(http, a_full_disk_is_our_trouble_and_not_the_server_s)
{
    struct server *server = server_start("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfilm");
    struct http_client *client = server_connect(server);
    struct http_request request = server_get();
    struct http_answer answer = {0};
    FD(full) = open("/dev/full", O_WRONLY | O_CLOEXEC);
    request.sink_fd = full;
    http_perform(client, &request, &answer);
    cr_expect_eq(answer.reach, TAILSLATE_REACH_LOCAL_FAILURE);
    cr_expect_eq(answer.error.code, ENOSPC, "%s", answer.error.message);
    http_answer_fini(&answer);
    server_end(server, client);
}

Test(http, a_file_is_sent_raw_or_as_the_field_file)
{
    SCRATCH(scratch);
    struct server *server = server_start("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    server->body = 7;
    struct http_client *client = server_connect(server);
    struct http_answer answer = {0};
    struct http_request request = server_get();
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
    struct http_client *client = server_connect(server);
    struct http_request request = server_get();
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
    struct http_client *client = server_connect(server);
    struct http_request request = server_get();
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
