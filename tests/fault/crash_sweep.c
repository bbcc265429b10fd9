/* The commit order: killed at every numbered point, the job still ends as promised.
 *
 * For each point of CRASH_POINTS twice: `self`, where only the process that stands there dies, and
 * `node`, where at that moment agent, steps and transcoders are all killed as by a power cut. Then
 * whatever died is started again, and the promises are looked at: one completions row, the token of
 * the first life, the file set whole, the spool empty. A point that is never reached is a failure.
 */
#include "base/crash.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "rig.h"
#include "transcoder.h"

#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <criterion/parameterized.h>
#include <string.h>

enum { CRASH_MS = 30 * 1000, DONE_MS = 60 * 1000 };

enum victim { VICTIM_SELF, VICTIM_NODE };

struct crash_case {
    int point;
    enum victim victim;
    char what[100];
};

#define CRASH_ROW(number, name, meaning)                                                           \
    {number, VICTIM_SELF, #number " " meaning}, {number, VICTIM_NODE, #number " " meaning},
static struct crash_case cases[] = {CRASH_POINTS(CRASH_ROW)};
#undef CRASH_ROW
enum { CASE_COUNT = sizeof cases / sizeof *cases };

static bool is_agents(int point)
{
    return point < CRASH_STEP_LOCKED;
}

static bool is_of_failure(int point)
{
    return point == CRASH_STEP_FAILURE_FOUND || point == CRASH_STEP_FAILURE_SEALED;
}

static struct rig *scene(const struct crash_case *crash, char flag[PATH_BYTES])
{
    struct rig *rig = rig_new();
    if (crash->point == CRASH_AGENT_CLAIM_ANSWERED) {
        /* Nobody holds it: it is given out again when it has expired, without the server's grace.
         */
        rig_verifier_set(rig, "claims.duration_minutes", "0.05");
        rig_verifier_set(rig, "sweeper.grace_seconds", "0");
    }
    /* A segment can only be uploaded while the transcoder runs if that takes a moment. */
    if (crash->point == CRASH_STEP_SEGMENT_UPLOADED)
        transcoder_takes_time(rig, "1.5");
    snprintf(flag, PATH_BYTES, "%s/crash.flag", rig->dir);
    file_write(flag, "", 0600);
    TEXT(variable) = must_printf("%d:%s", crash->point, flag);
    rig_set_env(rig, "TAILSLATE_CRASH", variable);
    rig_start_verifier(rig);
    return rig;
}

/* The node as it stands right after the crash. */
static void crash_and_restart(struct rig *rig, const struct crash_case *crash, const char *flag)
{
    cr_assert(inspect_wait_file(flag, false, CRASH_MS), "point %s was never reached", crash->what);
    if (crash->victim == VICTIM_NODE)
        rig_kill_node(rig);
    else if (is_agents(crash->point)) {
        cr_assert_eq(process_wait(rig->agent, CRASH_MS), 128 + 9);
        rig_kill_agent(rig);
    } else {
        return; /* the step alone died: the agent is to see to it */
    }
    rig_start_agent(rig);
    rig_expect(rig, "event=agent.ready", CRASH_MS, NULL);
}

static void check_completed(struct rig *rig, int64_t job, const char *first_token)
{
    char token[128];
    inspect_wait_int(rig, 1, DONE_MS, "SELECT count(*) FROM completions WHERE job_id=%lld",
                     (long long)job);
    inspect_wait_spool(rig, "spool", 0, DONE_MS);
    inspect_job_completed_once(rig, job);
    inspect_spool_empty(rig);
    inspect_text(rig, token, sizeof token, "SELECT token FROM completions");
    if (first_token)
        cr_assert_str_eq(token, first_token, "it is not the token of the first life");
    cr_assert_eq(inspect_int(rig, "SELECT attempt_number FROM transcoding_jobs"), 1,
                 "a crash of the node was charged as an attempt");
}

static void sweep_success(const struct crash_case *crash)
{
    char flag[PATH_BYTES], token[128];
    struct rig *rig = scene(crash, flag);
    bool has_record = crash->point != CRASH_AGENT_CLAIM_ANSWERED;
    rig_start_agent(rig);
    /* The job comes when the agent is there, so that the record cannot be missed. */
    int64_t job = rig_add_job(rig, media_clip(MEDIA_TINY), "film");
    if (has_record)
        inspect_wait_token(rig, token, CRASH_MS);
    crash_and_restart(rig, crash, flag);
    check_completed(rig, job, has_record ? token : NULL);
    rig_end(rig);
}

static void sweep_failure(const struct crash_case *crash)
{
    char flag[PATH_BYTES];
    struct rig *rig = scene(crash, flag);
    rig_start_agent(rig);
    int64_t job = rig_add_job(rig, media_clip(MEDIA_TEXT), "film");
    crash_and_restart(rig, crash, flag);
    inspect_wait_int(rig, 1, DONE_MS,
                     "SELECT count(*) FROM videos WHERE status='failed' AND error_message<>''");
    inspect_wait_spool(rig, "spool", 0, DONE_MS);
    inspect_spool_empty(rig);
    cr_assert_eq(inspect_int(rig, "SELECT count(*) FROM completions"), 0);
    cr_assert_eq(inspect_int(rig, "SELECT attempt_number FROM transcoding_jobs WHERE id=%lld",
                             (long long)job),
                 1, "one failure was charged more than once");
    rig_end(rig);
}

ParameterizedTestParameters(crash_sweep, nothing_promised_is_lost)
{
    return cr_make_param_array(struct crash_case, cases, CASE_COUNT);
}

ParameterizedTest(struct crash_case *crash, crash_sweep, nothing_promised_is_lost, .timeout = 120)
{
    /* Only one case, while a person looks for what is wrong with it: "23" or "23n". */
    const char *only = getenv("TAILSLATE_TEST_POINT");
    if (only && (strtol(only, NULL, 10) != crash->point ||
                 (strchr(only, 'n') != NULL) != (crash->victim == VICTIM_NODE)))
        return;
    cr_log_info("%s, %s", crash->what, crash->victim == VICTIM_NODE ? "the node" : "itself");
    if (is_of_failure(crash->point))
        sweep_failure(crash);
    else
        sweep_success(crash);
}
