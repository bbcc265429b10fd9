/* What an answer to a sealed report means, case by case: ours, a stock server's, anybody's. */
#include "agent/api/delivery.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define OURS   "7-4f9c1b7e-8a51-4d0c-9b6e-2f7a3c5d1e90"
#define OTHERS "7-00000000-0000-4000-8000-000000000000"
#define ACK(message, token)                                                                        \
    "{\"status\":\"ok\",\"message\":\"" message "\",\"token\":" token ",\"job_id\":7,"             \
    "\"completed_at\":\"2026-01-03T16:28:00+00:00\",\"replayed\":false,\"late\":false}"
#define PROBLEM(code)  "{\"detail\":\"why\",\"code\":\"" code "\"}"
#define STOCK(message) "{\"status\":\"ok\",\"message\":\"" message "\"}"

enum kind { COMPLETION, FAILURE, LATE_FAILURE, PAST_CACHE };
enum form { JSON_TYPE, HTML_TYPE };

static struct delivery_judgment judge(enum kind kind, long status, enum form form, const char *body)
{
    char text[1024];
    snprintf(text, sizeof text, "%s", body);
    struct http_answer answer = {.reach = TAILSLATE_REACH_ANSWERED,
                                 .status = status,
                                 .is_json = form == JSON_TYPE,
                                 .body = text,
                                 .body_size = strlen(text),
                                 .retry_after_ms = -1};
    if (answer.is_json && status / 100 != 2) /* as http does */
        message_problem_parse(text, strlen(text), &answer.problem);
    struct delivery_report report = {.is_failure = kind == FAILURE || kind == LATE_FAILURE,
                                     .is_claim_over = kind == LATE_FAILURE,
                                     .token = OURS,
                                     .past_cache = kind == PAST_CACHE};
    struct delivery_judgment judgment;
    delivery_judge(&report, &answer, &judgment);
    return judgment;
}

struct answer_case {
    const char *name;
    enum kind kind;
    long status;
    enum form form;
    const char *body;
    enum delivery expected;
};

static void check(const struct answer_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct answer_case *c = &cases[i];
        struct delivery_judgment judgment = judge(c->kind, c->status, c->form, c->body);
        cr_expect_eq(judgment.delivery, c->expected, "%s: %s, not %s (%s)", c->name,
                     delivery_name(judgment.delivery), delivery_name(c->expected), judgment.why);
        cr_expect((judgment.why[0] == '\0') == (c->expected == DELIVERY_ACKNOWLEDGED), "%s: '%s'",
                  c->name, judgment.why);
    }
}
#define CHECK(cases) check((cases), sizeof(cases) / sizeof(cases)[0])

Test(courier, only_an_acknowledgment_of_this_token_is_one)
{
    static const struct answer_case cases[] = {
        {"row 1", COMPLETION, 200, JSON_TYPE, ACK("Job completed successfully", "\"" OURS "\""),
         DELIVERY_ACKNOWLEDGED},
        {"row 2", COMPLETION, 200, JSON_TYPE, ACK("Job already completed", "\"" OURS "\""),
         DELIVERY_ACKNOWLEDGED},
        {"another token is echoed", COMPLETION, 200, JSON_TYPE,
         ACK("Job completed successfully", "\"" OTHERS "\""), DELIVERY_AGAIN},
        {"a malformed token is echoed", COMPLETION, 200, JSON_TYPE,
         ACK("Job completed successfully", "\"7-nothing\""), DELIVERY_AGAIN},
        {"captive portal", COMPLETION, 200, HTML_TYPE, "<html>Welcome! Please log in.</html>",
         DELIVERY_AGAIN},
        {"our words in a page", COMPLETION, 200, HTML_TYPE, ACK("x", "\"" OURS "\""),
         DELIVERY_AGAIN},
        {"HTML that says it is JSON", COMPLETION, 200, JSON_TYPE, "<html></html>", DELIVERY_AGAIN},
        {"cut JSON", COMPLETION, 200, JSON_TYPE, "{\"status\":\"ok\",\"token\":\"" OURS "\"",
         DELIVERY_AGAIN},
        {"empty", COMPLETION, 200, JSON_TYPE, "", DELIVERY_AGAIN},
        {"an empty object", COMPLETION, 200, JSON_TYPE, "{}", DELIVERY_AGAIN},
        {"a list", COMPLETION, 200, JSON_TYPE, "[]", DELIVERY_AGAIN},
        {"not ok", COMPLETION, 200, JSON_TYPE,
         "{\"status\":\"error\",\"token\":\"" OURS "\",\"message\":\"no\"}", DELIVERY_AGAIN},
        {"202", COMPLETION, 202, JSON_TYPE, ACK("Job completed successfully", "\"" OURS "\""),
         DELIVERY_AGAIN},
        {"204", COMPLETION, 204, JSON_TYPE, "", DELIVERY_AGAIN},
        {"a redirect", COMPLETION, 302, HTML_TYPE, "moved", DELIVERY_AGAIN},
    };
    CHECK(cases);
}

Test(courier, a_stock_server_is_believed_only_as_far_as_it_can_know)
{
    static const struct answer_case cases[] = {
        {"it has committed", COMPLETION, 200, JSON_TYPE, STOCK("Job completed successfully"),
         DELIVERY_ACKNOWLEDGED},
        {"its cache may lie", COMPLETION, 200, JSON_TYPE, STOCK("Job already completed"),
         DELIVERY_ASK},
        {"out of its database", PAST_CACHE, 200, JSON_TYPE, STOCK("Job already completed"),
         DELIVERY_ACKNOWLEDGED},
        {"another word", COMPLETION, 200, JSON_TYPE, STOCK("processing"), DELIVERY_AGAIN},
        {"claim is lost", COMPLETION, 409, JSON_TYPE, "{\"detail\":\"Claim expired\"}",
         DELIVERY_RECLAIM},
        {"claim went, past the cache", PAST_CACHE, 409, JSON_TYPE, "{\"detail\":\"Claim expired\"}",
         DELIVERY_RECLAIM},
        {"not yours", COMPLETION, 403, JSON_TYPE, "{\"detail\":\"Not your job\"}",
         DELIVERY_RECLAIM},
        {"a proxy's 403", COMPLETION, 403, HTML_TYPE, "<html>Forbidden</html>", DELIVERY_HOLD},
        {"bad key", COMPLETION, 401, JSON_TYPE, "{\"detail\":\"Invalid API key\"}", DELIVERY_HOLD},
        {"validation", COMPLETION, 422, JSON_TYPE,
         "{\"detail\":[{\"loc\":[\"body\"],\"msg\":\"field required\"}]}", DELIVERY_HOLD},
        {"no such job", COMPLETION, 404, JSON_TYPE, "{\"detail\":\"Job not found\"}",
         DELIVERY_HOLD},
        {"rate limit", COMPLETION, 429, JSON_TYPE, "{\"detail\":\"slow down\"}", DELIVERY_AGAIN},
        {"a bug", COMPLETION, 500, JSON_TYPE, "{\"detail\":\"Internal\"}", DELIVERY_AGAIN},
    };
    CHECK(cases);
}

Test(courier, our_codes_are_final_and_nothing_else_is)
{
    static const struct answer_case cases[] = {
        {"row 3", COMPLETION, 422, JSON_TYPE, PROBLEM("token_reused"), DELIVERY_QUARANTINE},
        {"row 6", COMPLETION, 409, JSON_TYPE, PROBLEM("claim_lost"), DELIVERY_RETAIN},
        {"row 7", COMPLETION, 410, JSON_TYPE, PROBLEM("job_gone"), DELIVERY_RETAIN},
        {"row 8", COMPLETION, 503, JSON_TYPE, PROBLEM("completion_in_progress"), DELIVERY_AGAIN},
        {"row 9", COMPLETION, 503, JSON_TYPE, PROBLEM("store_unavailable"), DELIVERY_AGAIN},
        {"row 10", COMPLETION, 404, JSON_TYPE, PROBLEM("job_not_found"), DELIVERY_HOLD},
        {"row 11", COMPLETION, 403, JSON_TYPE, PROBLEM("not_your_job"), DELIVERY_HOLD},
        {"row 12", COMPLETION, 401, JSON_TYPE, PROBLEM("unauthorized"), DELIVERY_HOLD},
        {"row 12, disabled", COMPLETION, 403, JSON_TYPE, PROBLEM("forbidden"), DELIVERY_HOLD},
        {"row 13", COMPLETION, 400, JSON_TYPE, PROBLEM("bad_json"), DELIVERY_QUARANTINE},
        {"row 13", COMPLETION, 413, JSON_TYPE, PROBLEM("payload_too_large"), DELIVERY_QUARANTINE},
        {"row 13", COMPLETION, 422, JSON_TYPE, PROBLEM("invalid_field"), DELIVERY_QUARANTINE},
        {"row 13", COMPLETION, 422, JSON_TYPE, PROBLEM("token_malformed"), DELIVERY_QUARANTINE},
        {"row 13", COMPLETION, 422, JSON_TYPE, PROBLEM("token_mismatch"), DELIVERY_QUARANTINE},
        {"row 14", COMPLETION, 422, JSON_TYPE, PROBLEM("output_missing"), DELIVERY_REUPLOAD},
        {"wrong URL", COMPLETION, 404, JSON_TYPE, PROBLEM("not_found"), DELIVERY_HOLD},
        {"429", COMPLETION, 429, JSON_TYPE, PROBLEM("rate_limited"), DELIVERY_AGAIN},
        {"internal", COMPLETION, 500, JSON_TYPE, PROBLEM("internal"), DELIVERY_AGAIN},
        {"a proxy's 410", COMPLETION, 410, HTML_TYPE, "<html>Gone</html>", DELIVERY_HOLD},
        {"a proxy's 413", COMPLETION, 413, HTML_TYPE, "too large", DELIVERY_HOLD},
        {"our word in a proxy's page", COMPLETION, 409, HTML_TYPE, PROBLEM("claim_lost"),
         DELIVERY_HOLD},
        {"our word under another status", COMPLETION, 502, JSON_TYPE, PROBLEM("claim_lost"),
         DELIVERY_AGAIN},
        {"an unknown code", COMPLETION, 409, JSON_TYPE, PROBLEM("no_such_code"), DELIVERY_RECLAIM},
        {"an unknown code", COMPLETION, 503, JSON_TYPE, PROBLEM("no_such_code"), DELIVERY_AGAIN},
    };
    CHECK(cases);
}

Test(courier, a_failure_report_is_delivered_by_the_same_rules)
{
    static const struct answer_case cases[] = {
        {"accepted", FAILURE, 200, JSON_TYPE,
         "{\"status\":\"ok\",\"will_retry\":true,\"attempt_number\":1}", DELIVERY_ACKNOWLEDGED},
        {"the job is completed", FAILURE, 200, JSON_TYPE,
         "{\"status\":\"ok\",\"will_retry\":false,\"attempt_number\":1}", DELIVERY_ACKNOWLEDGED},
        {"portal", FAILURE, 200, HTML_TYPE, "<html></html>", DELIVERY_AGAIN},
        {"superseded", FAILURE, 409, JSON_TYPE, PROBLEM("claim_lost"), DELIVERY_RETAIN},
        {"claim is lost", FAILURE, 409, JSON_TYPE, "{\"detail\":\"Claim expired\"}", DELIVERY_HOLD},
        {"not yours", FAILURE, 403, JSON_TYPE, "{\"detail\":\"Not your job\"}", DELIVERY_HOLD},
        {"it names no output", FAILURE, 422, JSON_TYPE, PROBLEM("output_missing"), DELIVERY_HOLD},
        {"refused", FAILURE, 422, JSON_TYPE, PROBLEM("invalid_field"), DELIVERY_QUARANTINE},
    };
    CHECK(cases);
}

Test(courier, a_refused_failure_report_ends_when_its_claim_is_over)
{
    static const struct answer_case cases[] = {
        {"not yours", LATE_FAILURE, 403, JSON_TYPE, "{\"detail\":\"Not yours\"}", DELIVERY_RETAIN},
        {"unknown", LATE_FAILURE, 404, JSON_TYPE, "{\"detail\":\"No such job\"}", DELIVERY_RETAIN},
        {"claim is lost", LATE_FAILURE, 409, JSON_TYPE, "{\"detail\":\"Expired\"}",
         DELIVERY_RETAIN},
        {"key", LATE_FAILURE, 401, JSON_TYPE, "{\"detail\":\"Invalid key\"}", DELIVERY_HOLD},
        {"our key", LATE_FAILURE, 403, JSON_TYPE, PROBLEM("forbidden"), DELIVERY_HOLD},
        {"our 404", LATE_FAILURE, 404, JSON_TYPE, PROBLEM("job_not_found"), DELIVERY_HOLD},
        {"proxy", LATE_FAILURE, 404, HTML_TYPE, "<html></html>", DELIVERY_HOLD},
        {"busy", LATE_FAILURE, 429, JSON_TYPE, "{\"detail\":\"Slower\"}", DELIVERY_AGAIN},
        {"down", LATE_FAILURE, 503, JSON_TYPE, "{\"detail\":\"Down\"}", DELIVERY_AGAIN},
        {"superseded", LATE_FAILURE, 409, JSON_TYPE, PROBLEM("claim_lost"), DELIVERY_RETAIN},
        {"in time", FAILURE, 403, JSON_TYPE, "{\"detail\":\"Not yours\"}", DELIVERY_HOLD},
        {"work", COMPLETION, 404, JSON_TYPE, "{\"detail\":\"No such job\"}", DELIVERY_HOLD},
    };
    CHECK(cases);
}

Test(courier, a_claim_is_over_when_it_has_lasted_once_more_since_the_report_was_sealed)
{
    static const int64_t minute_us = 60 * INT64_C(1000000), day = 24 * 60;
    static const struct {
        int64_t lease_ms, until_over_minutes;
    } cases[] = {
        {30 * 60 * 1000, 30},
        {1000, 10}, /* too short to be meant */
        {HTTP_LEASE_MAX_MS, day},
        {HTTP_LEASE_MAX_MS + 1, day}, /* no sense: one of the clocks is wrong */
        {-5, day},
        {0, day},
    };
    const int64_t sealed_us = INT64_C(1767457680000000);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t over_us = sealed_us + cases[i].until_over_minutes * minute_us;
        cr_expect(delivery_is_claim_over(sealed_us, cases[i].lease_ms, over_us), "case %zu", i);
        cr_expect_not(delivery_is_claim_over(sealed_us, cases[i].lease_ms, over_us - 1), "%zu", i);
    }
    cr_expect(delivery_is_claim_over(sealed_us, 30 * 60 * 1000, sealed_us - day * minute_us),
              "a clock that was put right holds it for ever");
}

Test(courier, output_missing_names_what_is_to_be_uploaded)
{
    struct delivery_judgment judgment = judge(
        COMPLETION, 422, JSON_TYPE,
        "{\"detail\":\"x\",\"code\":\"output_missing\",\"qualities\":[\"720p\",\"360p\"]}");
    cr_expect_eq(judgment.missing, (1u << TAILSLATE_QUALITY_720P) | (1u << TAILSLATE_QUALITY_360P));
    cr_expect_eq(judgment.problem, TAILSLATE_PROBLEM_OUTPUT_MISSING);
}

Test(courier, without_an_answer_it_tries_again_and_never_trusts_a_wrong_certificate)
{
    static const struct {
        enum tailslate_reach reach;
        enum delivery expected;
    } cases[] = {
        {TAILSLATE_REACH_UNREACHED, DELIVERY_AGAIN},
        {TAILSLATE_REACH_LOCAL_FAILURE, DELIVERY_AGAIN},
        {TAILSLATE_REACH_UNTRUSTED, DELIVERY_HOLD},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char nothing[] = "";
        struct http_answer answer = {.reach = cases[i].reach, .body = nothing};
        error_set(&answer.error, ERROR_TEMPORARY, 0, "connection reset");
        struct delivery_report report = {.token = OURS};
        struct delivery_judgment judgment;
        delivery_judge(&report, &answer, &judgment);
        cr_expect_eq(judgment.delivery, cases[i].expected);
        cr_expect_not_null(strstr(judgment.why, ": connection reset"));
    }
}

static enum delivery verify(long status, const char *body)
{
    char text[512];
    snprintf(text, sizeof text, "%s", body);
    struct http_answer answer = {.reach = TAILSLATE_REACH_ANSWERED,
                                 .status = status,
                                 .is_json = true,
                                 .body = text,
                                 .body_size = strlen(text)};
    struct delivery_judgment judgment;
    delivery_judge_verification(&answer, &judgment);
    return judgment.delivery;
}

Test(courier, a_doubt_is_settled_by_verify_complete_or_past_the_cache)
{
    cr_expect_eq(verify(200, "{\"job_completed\":true,\"video_status\":\"ready\"}"),
                 DELIVERY_ACKNOWLEDGED);
    cr_expect_eq(verify(200, "{\"job_completed\":false,\"video_status\":\"processing\"}"),
                 DELIVERY_SILENT);
    cr_expect_eq(verify(200, "{\"job_completed\":true,\"video_status\":\"failed\"}"), DELIVERY_HOLD,
                 "its work is not to be thrown away for that");
    cr_expect_eq(verify(500, "{\"detail\":\"Internal Server Error\"}"), DELIVERY_SILENT);
    cr_expect_eq(verify(200, "<html>"), DELIVERY_SILENT);
    cr_expect_eq(verify(200, "{}"), DELIVERY_SILENT);
}

#define GIVEN(job)                                                                                 \
    "{\"job_id\":" job ",\"video_id\":3,\"video_slug\":\"film\",\"video_duration\":0,"             \
    "\"source_width\":0,\"source_height\":0,\"source_filename\":\"film.mp4\","                     \
    "\"claim_expires_at\":\"2036-01-03T16:28:00+00:00\",\"existing_qualities\":null,"              \
    "\"message\":\"Job claimed\"}"

Test(courier, a_claim_that_went_is_ours_again_only_by_an_answer_that_names_the_job)
{
    static const struct {
        const char *name;
        enum tailslate_reach reach;
        long status;
        const char *body;
        bool is_got;
        enum delivery otherwise;
    } cases[] = {
        {"got", TAILSLATE_REACH_ANSWERED, 200, GIVEN("7"), true, DELIVERY_COUNT},
        {"another job", TAILSLATE_REACH_ANSWERED, 200, GIVEN("8"), false, DELIVERY_HOLD},
        {"no job", TAILSLATE_REACH_ANSWERED, 200, "{\"job_id\":null,\"message\":\"No jobs\"}",
         false, DELIVERY_HOLD},
        {"no claim", TAILSLATE_REACH_ANSWERED, 200, "{\"job_id\":7}", false, DELIVERY_HOLD},
        {"cut", TAILSLATE_REACH_ANSWERED, 200, "{\"job_id\":7,", false, DELIVERY_HOLD},
        {"taken", TAILSLATE_REACH_ANSWERED, 409, "{\"detail\":\"taken\"}", false, DELIVERY_HOLD},
        {"not ours", TAILSLATE_REACH_ANSWERED, 403, "{\"detail\":\"no\"}", false, DELIVERY_HOLD},
        {"busy", TAILSLATE_REACH_ANSWERED, 503, "{\"detail\":\"busy\"}", false, DELIVERY_AGAIN},
        {"down", TAILSLATE_REACH_UNREACHED, 0, "", false, DELIVERY_AGAIN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1024];
        snprintf(text, sizeof text, "%s", cases[i].body);
        struct http_answer answer = {.reach = cases[i].reach,
                                     .status = cases[i].status,
                                     .is_json = true,
                                     .body = text,
                                     .body_size = strlen(text)};
        error_set(&answer.error, ERROR_TEMPORARY, 0, "refused");
        struct delivery_judgment judgment;
        struct message_claim given;
        bool is_got = delivery_judge_reclaim(7, &answer, &given, &judgment);
        cr_expect_eq(is_got, cases[i].is_got, "%s: %s", cases[i].name, judgment.why);
        cr_expect(is_got || judgment.delivery == cases[i].otherwise, "%s: %s", cases[i].name,
                  delivery_name(judgment.delivery));
    }
}

Test(courier, the_pause_is_full_jitter_up_to_the_cap_for_ever)
{
    struct tailslate_backoff policy = {.base_ms = 1000, .cap_ms = 300000};
    int64_t longest = 0;
    for (uint64_t random = 0; random < 2000; random++) {
        int64_t delay_ms = delivery_delay_ms(DELIVERY_AGAIN, policy, 1000, -1,
                                             random * UINT64_C(9223372036854775));
        cr_assert(delay_ms >= 0 && delay_ms <= 300000, "%lld", (long long)delay_ms);
        longest = delay_ms > longest ? delay_ms : longest;
    }
    cr_expect_gt(longest, 150000, "the jitter vanished at the cap");
    cr_expect_leq(delivery_delay_ms(DELIVERY_AGAIN, policy, 1, -1, UINT64_MAX), 1000);
}

Test(courier, the_server_s_retry_after_is_a_floor_for_every_pause)
{
    struct tailslate_backoff policy = {.base_ms = 1000, .cap_ms = 300000};
    for (uint64_t random = 0; random < 1000; random++) {
        cr_assert_geq(delivery_delay_ms(DELIVERY_AGAIN, policy, 1, 7000, random), 7000);
        cr_assert_geq(delivery_delay_ms(DELIVERY_HOLD, policy, 1, 900000, random), 900000);
    }
}

Test(courier, what_is_held_is_tried_slowly_from_the_first_time_and_not_in_step)
{
    struct tailslate_backoff policy = {.base_ms = 1000, .cap_ms = 300000};
    int64_t first = delivery_delay_ms(DELIVERY_HOLD, policy, 1, -1, 12345);
    int64_t second = delivery_delay_ms(DELIVERY_HOLD, policy, 1, -1, 67890);
    cr_expect_geq(first, 150000);
    cr_expect_leq(first, 300000);
    cr_expect_neq(first, second);
}

/* Asked by `refused_ms` alone, so that no restart begins it again. */
Test(courier, what_is_refused_for_days_is_asked_about_ever_more_seldom)
{
    struct tailslate_backoff policy = {.base_ms = 1000, .cap_ms = 15000};
    int64_t week_ms = 7 * 24 * 3600 * INT64_C(1000), hour_ms = 3600 * 1000;
    int tries = 0, in_the_first_hour = 0;
    for (int64_t at_ms = 0; at_ms < week_ms; tries++) {
        int64_t delay_ms = delivery_hold_ms(policy, at_ms, -1, UINT64_MAX / 3 * (uint64_t)tries);
        cr_assert_geq(delay_ms, policy.cap_ms / 2);
        cr_assert_leq(delay_ms, DELIVERY_HOLD_MAX_MS);
        in_the_first_hour += at_ms < hour_ms;
        at_ms += delay_ms;
    }
    cr_expect_lt(in_the_first_hour, 40, "%d", in_the_first_hour);
    cr_expect_lt(tries, 400, "%d", tries);
    policy.cap_ms = 300000;
    cr_expect_leq(delivery_hold_ms(policy, 0, -1, UINT64_MAX), 300000);
    cr_expect_geq(delivery_hold_ms(policy, week_ms, 2 * hour_ms, 0), 2 * hour_ms);
}

Test(courier, a_silence_is_counted_from_the_time_that_was_written_down)
{
    struct tailslate_backoff policy = {.base_ms = 1000, .cap_ms = 300000};
    int64_t now_us = INT64_C(1767457680000000), second_us = 1000000;
    cr_expect_eq(delivery_delay_ms(DELIVERY_SILENT, policy, 1, -1, 0), DELIVERY_SILENCE_MS);
    cr_expect_eq(delivery_silence_left_ms(now_us, now_us), DELIVERY_SILENCE_MS);
    cr_expect_eq(delivery_silence_left_ms(now_us - 40 * second_us, now_us),
                 DELIVERY_SILENCE_MS - 40 * 1000);
    cr_expect_eq(delivery_silence_left_ms(now_us - 4000 * second_us, now_us), 0);
    cr_expect_eq(delivery_silence_left_ms(now_us + 4000 * second_us, now_us), DELIVERY_SILENCE_MS,
                 "a clock that was put back holds nothing for longer");
}
