/* What every answer means to everybody who judges one, recorded in tests/golden/answers.txt: the
 * courier (four kinds of calls), a step (three stages), the node's view of the server, and doctor.
 * All of reach x status x code x JSON or not that http can hand out; equal neighbors are one
 * line.
 *
 * With TAILSLATE_GOLDEN_UPDATE=1 the file is written again; the commit that changes it says why. */
#include "agent/api/delivery.h"
#include "agent/api/session.h"
#include "agent/cli/doctor_report.h"
#include "agent/daemon/server_link.h"
#include "lib/cleanup.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define GOLDEN TAILSLATE_SOURCE_DIR "/tests/golden/answers.txt"
#define TOKEN  "7-4f9c1b7e-8a51-4d0c-9b6e-2f7a3c5d1e90"
enum { STATUS_MIN = 100, STATUS_MAX = 600, LINE_BYTES = 1024 };

static char object[] = "{\"status\":\"ok\",\"message\":\"m\",\"token\":\"" TOKEN "\"}";
static char array[] = "[]";

static void write_delivery(FILE *out, const struct http_answer *answer, bool is_failure,
                           bool is_claim_over)
{
    struct delivery_report report = {
        .is_failure = is_failure, .is_claim_over = is_claim_over, .token = TOKEN};
    struct delivery_judgment judgment;
    delivery_judge(&report, answer, &judgment);
    fprintf(out, "%s%s%s ", delivery_name(judgment.delivery), judgment.is_about_job ? "*" : "",
            judgment.problem != TAILSLATE_PROBLEM_NONE ? "!" : "");
}

static void write_reclaim(FILE *out, const struct http_answer *answer)
{
    struct delivery_judgment judgment;
    struct message_claim given;
    cr_assert(!delivery_judge_reclaim(7, answer, &given, &judgment));
    fprintf(out, "%s%s", delivery_name(judgment.delivery), judgment.is_about_job ? "*" : "");
}

static void write_step(FILE *out, const struct http_answer *answer)
{
    static const char *const names[] = {
        [VERDICT_OK] = "ok",     [VERDICT_RETRY] = "retry",     [VERDICT_HOLD] = "hold",
        [VERDICT_LOST] = "lost", [VERDICT_MISSING] = "missing", [VERDICT_RECLAIM] = "reclaim",
    };
    static struct session session;
    for (int stage = 0; stage < 3; stage++) {
        session.progress.progress.step = stage == 0 ? WORK_PROBE : WORK_TRANSCODE;
        session.transcoded = stage == 2;
        fprintf(out, "%s ", names[session_verdict_of(&session, answer, EXPECT_JSON)]);
    }
    enum tailslate_answer_class class = http_answer_class(answer);
    fprintf(out, "bytes %s%s%s%s", names[session_verdict_of(&session, answer, EXPECT_BYTES)],
            session_is_outage(class) ? " outage" : "",
            class == TAILSLATE_ANSWER_KEY_REFUSED ? " key" : "",
            delivery_refuses_job(answer) ? " refusal" : "");
}

static void write_node(FILE *out, const struct http_answer *answer)
{
    char reason[SERVER_REASON_BYTES];
    fprintf(out, "%s%s", server_state_name(server_state_of(answer, reason)),
            tailslate_answer_concerns_key(http_answer_class(answer)) ? " renew" : "");
}

/* Only the mark and the subject. */
static void write_doctor(FILE *out, const struct http_answer *answer)
{
    static struct config config;
    char mark[16], subject[32];
    char *text = NULL;
    size_t size;
    struct doctor doctor = {.config = &config, .findings = {.out = open_memstream(&text, &size)}};
    doctor_judge_server(&doctor, answer);
    fclose(doctor.findings.out);
    cr_assert_eq(sscanf(text, "%15s %31s", mark, subject), 2, "%s", text);
    fprintf(out, "%s %s", mark, subject);
    free(text);
}

static void write_verdicts(char line[LINE_BYTES], const struct http_answer *answer)
{
    FILE *out = fmemopen(line, LINE_BYTES, "w");
    write_delivery(out, answer, false, false);
    write_delivery(out, answer, true, false);
    write_delivery(out, answer, true, true);
    write_reclaim(out, answer);
    fputs(" | ", out);
    write_step(out, answer);
    fputs(" | ", out);
    write_node(out, answer);
    fputs(" | ", out);
    write_doctor(out, answer);
    cr_assert_eq(fclose(out), 0);
}

static void write_statuses(FILE *out, const char *name, bool is_json, char *body,
                           enum tailslate_problem problem)
{
    char last[LINE_BYTES] = "", now[LINE_BYTES];
    long first = STATUS_MIN;
    for (long status = STATUS_MIN; status <= STATUS_MAX + 1; status++) {
        struct http_answer answer = {.reach = TAILSLATE_REACH_ANSWERED,
                                     .status = status,
                                     .is_json = is_json,
                                     .body = body,
                                     .body_size = strlen(body)};
        if (status / 100 != 2) /* as http does */
            answer.problem.problem = problem;
        now[0] = '\0';
        if (status <= STATUS_MAX)
            write_verdicts(now, &answer);
        if (status > STATUS_MIN && strcmp(now, last) != 0) {
            fprintf(out, "%s %ld-%ld | %s\n", name, first, status - 1, last);
            first = status;
        }
        memcpy(last, now, sizeof last);
    }
}

static void write_unanswered(FILE *out, const char *name, enum tailslate_reach reach)
{
    char line[LINE_BYTES] = "", nothing[] = "";
    struct http_answer answer = {.reach = reach, .body = nothing};
    error_set(&answer.error, ERROR_TEMPORARY, 0, "why");
    write_verdicts(line, &answer);
    fprintf(out, "%s | %s\n", name, line);
}

static void write_all(FILE *out)
{
    fputs("# answer | completion failure late-failure reclaim (* about the job, ! by its code) | "
          "step: probing transcoding transcoded | server's state | doctor\n",
          out);
    write_unanswered(out, "unreached", TAILSLATE_REACH_UNREACHED);
    write_unanswered(out, "untrusted", TAILSLATE_REACH_UNTRUSTED);
    write_unanswered(out, "local", TAILSLATE_REACH_LOCAL_FAILURE);
    write_statuses(out, "html", false, object, TAILSLATE_PROBLEM_NONE);
    write_statuses(out, "object", true, object, TAILSLATE_PROBLEM_NONE);
    write_statuses(out, "array", true, array, TAILSLATE_PROBLEM_NONE);
    for (enum tailslate_problem problem = TAILSLATE_PROBLEM_NONE + 1;
         problem < TAILSLATE_PROBLEM_COUNT; problem++)
        write_statuses(out, tailslate_problem_code(problem), true, object, problem);
}

static void write_file(const char *path, const char *text)
{
    FILE *out = fopen(path, "we");
    cr_assert(out && fputs(text, out) >= 0 && fclose(out) == 0, "%s", path);
}

Test(answer, everybody_judges_each_answer_as_recorded)
{
    char *text = NULL, recorded[LINE_BYTES];
    size_t size;
    FILE *out = open_memstream(&text, &size);
    write_all(out);
    fclose(out);
    if (getenv("TAILSLATE_GOLDEN_UPDATE"))
        write_file(GOLDEN, text);
    FILE *golden = fopen(GOLDEN, "re");
    cr_assert(golden, "%s", GOLDEN);
    char *rest = text;
    while (fgets(recorded, sizeof recorded, golden)) {
        char *line = strsep(&rest, "\n");
        recorded[strcspn(recorded, "\n")] = '\0';
        cr_assert(line, "there is no more of: %s", recorded);
        cr_expect_str_eq(line, recorded);
    }
    cr_expect(rest && *rest == '\0', "not recorded: %s", rest);
    fclose(golden);
    free(text);
}

static struct http_answer refusal(long status, enum tailslate_problem problem)
{
    return (struct http_answer){.reach = TAILSLATE_REACH_ANSWERED,
                                .status = status,
                                .is_json = true,
                                .body = object,
                                .body_size = sizeof object - 1,
                                .problem.problem = problem};
}

Test(answer, a_step_believes_a_code_only_under_its_own_status)
{
    static struct session session;
    for (enum tailslate_problem problem = TAILSLATE_PROBLEM_NONE + 1;
         problem < TAILSLATE_PROBLEM_COUNT; problem++) {
        struct http_answer changed = refusal(599, problem);
        cr_expect_eq(session_verdict_of(&session, &changed, EXPECT_JSON), VERDICT_RETRY, "%s",
                     tailslate_problem_code(problem));
        struct http_answer proxied = refusal(418, problem);
        cr_expect(!delivery_refuses_job(&proxied), "%s", tailslate_problem_code(problem));
    }
    struct http_answer own = refusal(409, TAILSLATE_PROBLEM_CLAIM_LOST);
    cr_expect_eq(session_verdict_of(&session, &own, EXPECT_JSON), VERDICT_LOST);
    cr_expect(delivery_refuses_job(&own));
}

Test(answer, a_timeout_at_the_server_is_not_taken_for_another_api)
{
    static const long statuses[] = {408, 425};
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        char line[LINE_BYTES] = "";
        struct http_answer answer = refusal(statuses[i], TAILSLATE_PROBLEM_NONE);
        FILE *out = fmemopen(line, LINE_BYTES, "w");
        write_doctor(out, &answer);
        cr_assert_eq(fclose(out), 0);
        cr_expect_str_eq(line, "WAIT server", "HTTP %ld", statuses[i]);
    }
}

/* On a full disk progress is recorded and no file is: the step waits, and `status` says so. */
Test(answer, a_progress_report_that_succeeds_is_not_the_end_of_an_upload_s_trouble)
{
    static struct session session = {.dir = -1};
    struct http_answer full = refusal(507, TAILSLATE_PROBLEM_SERVER_FULL);
    struct http_answer good = refusal(200, TAILSLATE_PROBLEM_NONE);
    cr_assert_eq(session_judge(&session, &full, EXPECT_JSON), VERDICT_RETRY);
    cr_assert_eq(session_judge_progress(&session, &good), VERDICT_OK);
    cr_expect(strstr(session.progress.waiting.reason, "the server has no space left"), "%s",
              session.progress.waiting.reason);
    cr_assert_eq(session_judge(&session, &good, EXPECT_JSON), VERDICT_OK);
    cr_expect_str_eq(session.progress.waiting.reason, "");
    cr_assert_eq(session_judge_progress(&session, &full), VERDICT_RETRY);
    cr_assert_eq(session_judge_progress(&session, &good), VERDICT_OK);
    cr_expect_str_eq(session.progress.waiting.reason, "", "its own trouble ends with it");
}
