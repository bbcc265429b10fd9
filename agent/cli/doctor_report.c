#include "agent/cli/doctor_report.h"

#include "agent/api/explain.h"
#include "agent/daemon/server_link.h"

/* Temporary: it can pass without a change of the configuration. */
static bool is_passing(enum tailslate_answer_class class)
{
    return class == TAILSLATE_ANSWER_LIMITED || class == TAILSLATE_ANSWER_TIMED_OUT ||
           class == TAILSLATE_ANSWER_SERVER_FULL || class == TAILSLATE_ANSWER_SERVER_FAILING;
}

static void report_failing(struct doctor *doctor, const struct http_answer *answer)
{
    const char *url = doctor->config->server.url;
    char reason[EXPLAIN_BYTES];
    explain_answer(answer, reason);
    if (is_passing(http_answer_class(answer)))
        finding_add(&doctor->findings, FINDING_PASSING, "server", explain_hint(answer), "%s: %s",
                    url, reason);
    else
        finding_add(&doctor->findings, FINDING_BAD, "server",
                    "fix server.url: this is not a worker API", "%s: HTTP %ld, %s", url,
                    answer->status, answer->is_json ? "JSON" : "not JSON");
}

void doctor_judge_server(struct doctor *doctor, const struct http_answer *answer)
{
    const char *url = doctor->config->server.url;
    switch (server_state_of_class(http_answer_class(answer))) {
    case SERVER_FINE:
        finding_add(&doctor->findings, FINDING_GOOD, "key accepted", NULL, "by %s", url);
        break;
    case SERVER_NOT_TRUSTED:
        finding_add(&doctor->findings, FINDING_BAD, "server", explain_hint(answer), "%s: %s", url,
                    answer->error.message);
        break;
    case SERVER_UNREACHED:
        finding_add(&doctor->findings, FINDING_PASSING, "server", explain_hint(answer), "%s: %s",
                    url, answer->error.message);
        break;
    case SERVER_KEY_REFUSED:
        finding_add(
            &doctor->findings, FINDING_BAD, "key accepted",
            "put a valid key into the file; the agent reads it without a restart and loses nothing "
            "meanwhile",
            "the server refused the key: HTTP %ld %s", answer->status, answer->problem.detail);
        break;
    case SERVER_FAILING:
        report_failing(doctor, answer);
        break;
    case SERVER_UNKNOWN:
    case SERVER_STATE_COUNT:
        must(false); /* no answer produces these states */
    }
}
