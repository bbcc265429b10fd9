/* What comes late, twice or from a stale look: each rule meets its breach and what is no breach. */
#include "check.h"
#include "lib/cleanup.h"
#include "lib/error.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* Seconds of the minute 13:50 of a day. */
#define AT_US(seconds) "17957874" seconds "000000"
#define TIME(seconds)  "\"2026-11-27T13:50:" seconds "+00:00\""
#define DONE_1                                                                                     \
    "\"completions\":[{\"job_id\":1,\"claim_epoch\":1,\"worker_id\":\"w0\",\"committed_"           \
    "at\":" TIME("03") "}]"
#define SWEPT(seconds, epoch)                                                                      \
    "\"sweeps\":[{\"swept_at\":" TIME(seconds) ",\"released\":[{\"job\":1,\"epoch\":" epoch "}]}]"
#define JOB(worker)                                                                                \
    "\"transcoding_jobs\":[{\"id\":1,\"worker_id\":" worker ",\"completed_at\":" TIME("03") "}]"
#define FAILED(epoch) "\"failures\":[{\"job_id\":1,\"claim_epoch\":" epoch "}]"
#define HELD(value)                                                                                \
    ",{\"event\":\"gate\",\"at_us\":" AT_US(                                                       \
        "12") ",\"rows\":[{\"key\":"                                                               \
              "\"vlog:completion_token:1:1-a\",\"value\":\"" value "\"}]}"
#define ANSWERED_AT(status, answered)                                                              \
    "{\"event\":\"call\",\"what\":\"complete\",\"token\":\"1-a\",\"status\":" status               \
    ",\"asked_us\":" AT_US("10") ",\"answered_us\":" answered "}"
#define ANSWERED(status) ANSWERED_AT(status, AT_US("10"))
#define FAULT(name, seconds, amount)                                                               \
    "{\"event\":\"fault\",\"fault\":\"" name                                                       \
    "\",\"done\":true,\"at_us\":" AT_US(seconds) ",\"amount\":" amount "}"
#define LATE_FAILURE(status)                                                                       \
    "{\"event\":\"call\",\"what\":\"fail\",\"forged\":true,\"job\":1,\"status\":" status           \
    ",\"asked_us\":" AT_US("10") ",\"answered_us\":" AT_US("11") "}"
#define SWEEPER(name) "{\"event\":\"sweeper\",\"instance\":\"" name "\"}"
#define RETRANSCODE   "{\"event\":\"verb\",\"verb\":\"retranscode\",\"job\":1,\"status\":200}"

static const struct moment {
    const char *promise; /* "": left in peace */
    const char *history, *database;
} cases[] = {
    {"", "", DONE_1 "," SWEPT("02", "1")},
    {"P6", "", DONE_1 "," SWEPT("04", "1")},
    {"", RETRANSCODE, DONE_1 "," SWEPT("04", "1")},
    {"P6", "", SWEPT("04", "0")},
    {"", "", DONE_1 "," JOB("\"w0\"")},
    {"P6", "", DONE_1 "," JOB("null")},
    {"P6", "", DONE_1 "," JOB("\"w1\"")},
    {"", "", DONE_1 "," FAILED("2")},
    {"P6", "", DONE_1 "," FAILED("1")},
    {"P7", ANSWERED("422") HELD("processing:v1"), ""},
    {"", ANSWERED_AT("422", AT_US("11")) HELD("processing:v1"), ""},
    {"", ANSWERED("422") HELD("completed"), ""},
    {"", ANSWERED("422") HELD("processing:somebody"), ""},
    {"", ANSWERED("0") HELD("processing:v1"), ""},
    {"", ANSWERED("422") "," FAULT("hang-redis", "08", "1500") HELD("processing:v1"), ""},
    {"P7", ANSWERED("422") "," FAULT("hang-redis", "05", "1500") HELD("processing:v1"), ""},
    {"P7", ANSWERED("422") "," FAULT("kill-agent", "10", "100") HELD("processing:v1"), ""},
    {"", LATE_FAILURE("200"), ""},
    {"P6", LATE_FAILURE("503"), ""},
    {"", LATE_FAILURE("503") "," FAULT("lock-rows", "09", "500"), ""},
    {"", SWEEPER("a") "," SWEEPER("b"), ""},
    {"P9", SWEEPER("a") "," SWEEPER("b") "," SWEEPER("a"), ""},
};

static struct json *parse(const char *open, const char *content, const char *end)
{
    struct error ignored;
    TEXT(whole) = must_printf("%s%s%s", open, content, end);
    struct json *json = json_parse_large(whole, strlen(whole), &ignored);
    cr_assert(json, "%s", whole);
    return json;
}

static void judge(const struct moment *moment, void (*check)(struct evidence *evidence))
{
    char *said = NULL;
    size_t size;
    struct evidence evidence = {.out = open_memstream(&said, &size)};
    evidence.history = parse("[", moment->history, "]");
    evidence.database = parse("{", moment->database, "}");
    check(&evidence);
    fclose(evidence.out);
    bool is_said = *moment->promise ? strncmp(said, moment->promise, 2) == 0 : !*said;
    cr_expect(is_said, "%s %s: \"%s\", wanted \"%s\"", moment->history, moment->database, said,
              moment->promise);
    evidence_fini(&evidence);
    free(said);
}

Test(moments, each_rule_sees_its_breach_and_nothing_else)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        judge(&cases[i], check_moments);
}

/* ---- two tokens for one claim ---------------------------------------------------------------- */

#define PRESENTED(more, token, replayed)                                                           \
    "{\"event\":\"call\",\"what\":\"complete\",\"job\":1,\"epoch\":1,\"status\":200" more          \
    ",\"token\":\"" token                                                                          \
    "\",\"answered_us\":" AT_US("11") ",\"answer\":{\"status\":\"ok\",\"token\":\"" token          \
                                      "\",\"completed_at\":" TIME("03") ",\"replayed\":" replayed  \
                                                                        "}}"
#define FORGED ",\"forged\":true"
#define RECORDED(token)                                                                            \
    "\"completions\":[{\"job_id\":1,\"claim_epoch\":1,\"token\":\"" token                          \
    "\",\"committed_at\":" TIME("03") "}]"

static const struct moment presented[] = {
    {"", PRESENTED("", "1-a", "false"), RECORDED("1-a")},
    {"P1", PRESENTED("", "1-a", "true"), RECORDED("1-b")},
    {"", PRESENTED(FORGED, "1-b", "false") "," PRESENTED("", "1-a", "true"), RECORDED("1-b")},
    {"", PRESENTED("", "1-a", "false") "," PRESENTED(FORGED, "1-b", "true"), RECORDED("1-a")},
    {"P1", PRESENTED("", "1-a", "false") "," PRESENTED(FORGED, "1-b", "true"), ""},
    {"P2", PRESENTED("", "1-a", "false") "," PRESENTED(FORGED, "1-b", "false"), RECORDED("1-a")},
};

Test(moments, of_two_tokens_for_one_claim_one_takes_effect_and_both_are_acknowledged)
{
    for (size_t i = 0; i < sizeof presented / sizeof *presented; i++)
        judge(&presented[i], check_acknowledgements);
}

/* ---- who dies -------------------------------------------------------------------------------- */

#define DIED(status) "{\"event\":\"died\",\"program\":\"agent\",\"status\":" status "}"
static const struct moment deaths[] = {
    {"", DIED("1"), ""}, {"", DIED("137"), ""}, {"en", DIED("134"), ""}};

Test(moments, a_program_may_end_and_be_killed_but_does_not_abort)
{
    for (size_t i = 0; i < sizeof deaths / sizeof *deaths; i++)
        judge(&deaths[i], check_ends);
}

/* ---- clocks ---------------------------------------------------------------------------------- */

#define CLOCK(seconds, shift)                                                                      \
    "{\"event\":\"clock\",\"at_us\":" AT_US(seconds) ",\"shift_ms\":" shift "}"

static const struct {
    const char *history, *said;
    int64_t real_s; /* of the minute; -1: there is no saying */
} times[] = {
    {"", TIME("05"), 5},
    {CLOCK("10", "20000"), TIME("05"), 5},
    {CLOCK("10", "20000"), TIME("35"), 15},
    {CLOCK("10", "20000") "," CLOCK("20", "0"), TIME("35"), -1}, /* 15 ahead, or 35 later */
    {CLOCK("10", "20000") "," CLOCK("20", "0"), TIME("25"), 25},
    {CLOCK("10", "-8000"), TIME("04"), -1}, /* before, or 12 */
    {CLOCK("10", "-8000"), TIME("30"), 38},
    {"{\"event\":\"start\",\"store\":\"fleet\"}," CLOCK("10", "-8000"), TIME("30"), 30},
};

Test(moments, a_verifier_s_time_is_told_by_the_clock_of_the_history)
{
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        struct evidence evidence = {.history = parse("[", times[i].history, "]")};
        struct json *row = parse("{\"at\":", times[i].said, "}");
        int64_t found_us = real_us(&evidence, row, "at");
        cr_expect_eq(found_us,
                     times[i].real_s < 0 ? 0 : 1795787400000000 + times[i].real_s * 1000000,
                     "case %zu: %lld", i, (long long)found_us);
        json_free(row);
        json_free(evidence.history);
    }
}

#define START "{\"event\":\"start\",\"claim_ms\":5000,\"offline_ms\":1000,\"grace_ms\":1000},"
#define CLAIMED                                                                                    \
    "{\"event\":\"call\",\"what\":\"claim\",\"node\":0,\"status\":200,\"asked_us\":" AT_US(        \
        "10") ",\"answered_us\":" AT_US("10") ",\"answer\":{\"job_id\":1,\"claim_epoch\":1}}"

#define UPLOADED(answer)                                                                           \
    "{\"event\":\"call\",\"what\":\"upload\",\"job\":11,\"epoch\":1,\"status\":200,\"asked_"       \
    "us\":" AT_US("12") ",\"answered_us\":" AT_US("12") ",\"answer\":{" answer "}}"
#define VIDEO "\"transcoding_jobs\":[{\"id\":1,\"video_id\":11}],"

/* Two seconds after a claim of five. */
static const struct moment releases[] = {
    {"P9", START CLAIMED, SWEPT("12", "1")},
    {"", START CLAIMED, SWEPT("17", "1")},
    {"", START CLAIMED "," CLOCK("11", "4000"), SWEPT("16", "1")},
    {"P9", START CLAIMED "," CLOCK("11", "20000"), SWEPT("32", "1")},
    {"", START CLOCK("09", "-4000") "," CLAIMED "," CLOCK("11", "40000") "," CLOCK("11", "0"),
     SWEPT("12", "1")},
    {"P9", START CLAIMED "," UPLOADED("\"written\":true"), VIDEO SWEPT("16", "1")},
    {"", START CLAIMED "," UPLOADED("\"complete\":true"), VIDEO SWEPT("16", "1")},
};

Test(moments, only_a_small_step_of_the_clock_excuses_a_release)
{
    for (size_t i = 0; i < sizeof releases / sizeof *releases; i++)
        judge(&releases[i], check_releases);
}

/* ---- a node that is lost --------------------------------------------------------------------- */

Test(moments, a_node_is_lost_for_what_was_before)
{
    struct evidence evidence = {
        .history = parse("[",
                         "{\"event\":\"round\"},{\"event\":\"fault\",\"fault\":\"lose-node\","
                         "\"done\":true,\"target\":1},{\"event\":\"round\"}",
                         "]")};
    const struct json *first = first_line(&evidence, "round", NULL);
    cr_expect(is_lost(first, 1) && !is_lost(first, 0) && !is_lost(last_round(&evidence), 1));
    json_free(evidence.history);
}
