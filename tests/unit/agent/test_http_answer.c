/* What is in an answer, and what is none. */
#include "base/clock.h"
#include "few_lines.h"
#include "lib/cleanup.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <string.h>

Test(http_answer, a_body_that_is_cut_short_is_no_answer)
{
    static const char *const replies[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"status\":\"ok\"}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{\"status\":",
        "HTTP/1.1 200 OK\r\nContent-Len",
        "",
    };
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        struct http_answer answer = server_once(replies[i]);
        cr_expect_eq(answer.reach, TAILSLATE_REACH_UNREACHED, "reply %zu: status %ld", i,
                     answer.status);
        cr_expect(answer.error.message[0]);
        http_answer_fini(&answer);
    }
}

/* They come behind the body and are no head that has begun again. */
Test(http_answer, trailers_do_not_unmake_an_answer)
{
    struct http_answer answer = server_once("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                            "2\r\n{}\r\n0\r\nServer-Timing: db;dur=3\r\n\r\n");
    cr_expect_eq(answer.reach, TAILSLATE_REACH_ANSWERED, "%s", answer.error.message);
    cr_expect_str_eq(answer.body, "{}");
    http_answer_fini(&answer);
}

Test(http_answer, a_body_over_the_limit_is_not_taken_in)
{
    enum { SIZE = 1024 * 1024 };
    TEXT(reply) = must_malloc(SIZE + 128);
    int head = snprintf(reply, 128, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", SIZE);
    memset(reply + head, 'x', SIZE);
    reply[head + SIZE] = '\0';
    struct http_answer answer = server_once(reply);
    cr_expect_eq(answer.reach, TAILSLATE_REACH_UNREACHED);
    cr_expect_eq(answer.error.code, EFBIG, "%s", answer.error.message);
    cr_expect_leq(answer.body_size, (size_t)HTTP_ANSWER_MAX_BYTES);
    http_answer_fini(&answer);
}

Test(http_answer, a_head_without_an_end_is_not_taken_in)
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
    struct http_answer answer = server_once(reply);
    cr_expect_eq(answer.reach, TAILSLATE_REACH_UNREACHED);
    cr_expect_eq(answer.error.code, EFBIG, "%s", answer.error.message);
    http_answer_fini(&answer);
}

Test(http_answer, a_redirect_is_an_answer_and_is_not_followed)
{
    struct server *elsewhere = server_start("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    TEXT(reply) = must_printf("HTTP/1.1 307 Go\r\nLocation: %s/\r\nContent-Length: 0\r\n\r\n",
                              elsewhere->url);
    struct http_answer answer = server_once(reply);
    cr_expect_eq(answer.reach, TAILSLATE_REACH_ANSWERED);
    cr_expect_eq(answer.status, 307);
    struct pollfd asked = {.fd = elsewhere->listener, .events = POLLIN};
    cr_expect_eq(poll(&asked, 1, 0), 0, "the key went elsewhere");
    close(elsewhere->listener);
    close(elsewhere->stop[0]);
    close(elsewhere->stop[1]);
    free(elsewhere);
    http_answer_fini(&answer);
}

static int64_t retry_after_of(const char *value)
{
    TEXT(reply) = must_printf("HTTP/1.1 503 No\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n",
                              value);
    struct http_answer answer = server_once(reply);
    int64_t retry_after_ms = answer.retry_after_ms;
    http_answer_fini(&answer);
    return retry_after_ms;
}

Test(http_answer, retry_after_is_seconds_or_a_date_and_an_hour_at_most)
{
    cr_expect_eq(retry_after_of("7"), 7000);
    cr_expect_eq(retry_after_of("999999"), 3600 * 1000);
    cr_expect_eq(retry_after_of("Fri, 31 Dec 2100 23:59:59 GMT"), 3600 * 1000);
    cr_expect_leq(retry_after_of("Fri, 31 Dec 1999 23:59:59 GMT"), 0);
    cr_expect_leq(retry_after_of("soon"), 0);
}

Test(http_answer, our_words_count_only_in_json)
{
    static const char body[] = "{\"detail\":\"went\",\"code\":\"claim_lost\"}";
    static const struct {
        const char *type;
        enum tailslate_problem expected;
    } cases[] = {
        {"application/json", TAILSLATE_PROBLEM_CLAIM_LOST},
        {"application/problem+json; charset=utf-8", TAILSLATE_PROBLEM_CLAIM_LOST},
        {"Application/JSON", TAILSLATE_PROBLEM_CLAIM_LOST},
        {"text/html", TAILSLATE_PROBLEM_NONE},
        {"application/jsonx", TAILSLATE_PROBLEM_NONE},
        {"", TAILSLATE_PROBLEM_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        TEXT(reply) = must_printf(
            "HTTP/1.1 409 Conflict\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%s",
            cases[i].type, strlen(body), body);
        struct http_answer answer = server_once(reply);
        cr_expect_eq(answer.problem.problem, cases[i].expected, "%s", cases[i].type);
        http_answer_fini(&answer);
    }
}

Test(http_answer, a_component_is_escaped_whole)
{
    TEXT(escaped) = http_escape("a b/c?d&e%f\xC3\xBC~-._Z9\"'$");
    cr_expect_str_eq(escaped, "a%20b%2Fc%3Fd%26e%25f%C3%BC~-._Z9%22%27%24");
}

Test(http_answer, a_lease_is_counted_by_the_server_s_clock_where_it_tells_the_time)
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

Test(http_answer, the_date_of_an_answer_is_read)
{
    struct server *server = server_start("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
                                         "Date: Sat, 03 Jan 2026 16:28:00 GMT\r\n"
                                         "Content-Type: application/json\r\n\r\n{}");
    struct http_client *client = server_connect(server);
    struct http_request request = http_get("/");
    struct http_answer answer;
    int64_t wanted_us;
    cr_assert(wall_parse("2026-01-03T16:28:00Z", &wanted_us));
    http_perform(client, &request, &answer);
    cr_expect_eq(answer.date_us, wanted_us, "%lld", (long long)answer.date_us);
    http_answer_fini(&answer);
    server_end(server, client);
}
