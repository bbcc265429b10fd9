/* The sentences about answers. */
#include "agent/api/explain.h"
#include "fixture.h"

static void say(long status, const char *body, char text[EXPLAIN_BYTES])
{
    char bytes[256];
    snprintf(bytes, sizeof bytes, "%s", body);
    struct http_answer answer = {
        .status = status, .body = bytes, .body_size = strlen(bytes), .retry_after_ms = -1};
    http_answer_read(&answer, "application/problem+json");
    explain_answer(&answer, text);
}

Test(explain, a_full_server_is_said_in_words_whichever_server_says_it)
{
    char text[EXPLAIN_BYTES];
    say(507, "{\"code\":\"server_full\",\"detail\":\"The server has no space left.\"}", text);
    cr_expect_str_eq(text, "the server has no space left: HTTP 507 server_full");
    say(507, "{\"detail\":\"Insufficient storage\"}", text);
    cr_expect_str_eq(text, "the server has no space left: HTTP 507");
}

Test(explain, what_the_server_says_follows_the_sentence)
{
    char text[EXPLAIN_BYTES];
    say(503, "{\"code\":\"store_unavailable\",\"detail\":\"Later.\"}", text);
    cr_expect_str_eq(text, "the server cannot work now: HTTP 503 store_unavailable: Later.");
}

Test(explain, a_code_under_another_status_is_not_repeated)
{
    char text[EXPLAIN_BYTES];
    say(500, "{\"code\":\"claim_lost\"}", text);
    cr_expect_str_eq(text, "the server cannot work now: HTTP 500");
}

Test(explain, each_class_has_a_sentence_and_a_failure_without_an_answer_its_cause)
{
    static const enum tailslate_reach reaches[] = {
        TAILSLATE_REACH_UNREACHED, TAILSLATE_REACH_UNTRUSTED, TAILSLATE_REACH_LOCAL_FAILURE};
    static const char *const sentences[] = {"the server cannot be reached: no route",
                                            "the server's certificate is not trusted: no route",
                                            "this node cannot send or receive a file: no route"};
    for (size_t i = 0; i < sizeof reaches / sizeof reaches[0]; i++) {
        char text[EXPLAIN_BYTES], nothing[] = "";
        struct http_answer answer = {.reach = reaches[i], .body = nothing};
        error_set(&answer.error, ERROR_TEMPORARY, 0, "no route");
        explain_answer(&answer, text);
        cr_expect_str_eq(text, sentences[i]);
        cr_expect_not_null(explain_hint(&answer));
    }
    for (enum http_trouble trouble = HTTP_CERTIFICATE_OVER; trouble < HTTP_TROUBLE_COUNT;
         trouble++) {
        struct http_answer answer = {.reach = TAILSLATE_REACH_UNTRUSTED, .trouble = trouble};
        const struct http_answer other = {.reach = TAILSLATE_REACH_UNTRUSTED};
        cr_expect_str_neq(explain_hint(&answer), explain_hint(&other));
        cr_expect_lt(strlen(explain_hint(&answer)), sizeof((struct record_waiting *)0)->hint);
    }
    for (long status = 200; status < 600; status++) {
        char text[EXPLAIN_BYTES];
        say(status, "{}", text);
        cr_expect_null(strstr(text, "(null)"), "HTTP %ld: %s", status, text);
    }
}
