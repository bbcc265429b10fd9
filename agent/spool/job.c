#include "agent/spool/job.h"

#include "lib/error.h"

#include <stddef.h>

#define CLAIM           (1u << JOB_FILE_CLAIM)
#define OUTCOME         (1u << JOB_FILE_OUTCOME)
#define COMPLETION      (1u << JOB_FILE_COMPLETION)
#define MISSING         (1u << JOB_FILE_MISSING)
#define FAILURE         (1u << JOB_FILE_FAILURE)
#define LOST            (1u << JOB_FILE_LOST)
#define ACKNOWLEDGEMENT (1u << JOB_FILE_ACKNOWLEDGEMENT)

/* Every set of files that the commits below can leave behind. Each event adds or removes exactly
 * one file (or rewrites some in place), so that a crash between two events is one of these too. */
static const struct {
    unsigned files;
    enum job_state state;
} legal[] = {
    {CLAIM, JOB_CLAIMED},
    {CLAIM | OUTCOME, JOB_TRANSCODED},
    {CLAIM | OUTCOME | COMPLETION, JOB_SEALED},
    {CLAIM | OUTCOME | COMPLETION | MISSING, JOB_REOPENED},
    {CLAIM | FAILURE, JOB_FAILED},
    {CLAIM | LOST, JOB_LOST},
    {CLAIM | OUTCOME | LOST, JOB_LOST},
    {CLAIM | OUTCOME | COMPLETION | MISSING | LOST, JOB_LOST},
    {CLAIM | OUTCOME | COMPLETION | ACKNOWLEDGEMENT, JOB_ACKNOWLEDGED},
    {CLAIM | FAILURE | ACKNOWLEDGEMENT, JOB_ACKNOWLEDGED},
};

/* An empty cell is JOB_WRONG. Deliberately empty: a failure after the outcome is known (P3), a
 * rebound failure (its report is about the former claim), anything after the end. */
static const enum job_state rules[JOB_STATE_COUNT][JOB_EVENT_COUNT] = {
    [JOB_CLAIMED] =
        {
            [JOB_OUTCOME_RECORDED] = JOB_TRANSCODED,
            [JOB_FAILURE_SEALED] = JOB_FAILED,
            [JOB_CLAIM_GONE] = JOB_LOST,
            [JOB_REBOUND] = JOB_CLAIMED,
        },
    [JOB_TRANSCODED] =
        {
            [JOB_COMPLETION_SEALED] = JOB_SEALED,
            [JOB_CLAIM_GONE] = JOB_LOST,
            [JOB_REBOUND] = JOB_TRANSCODED,
        },
    [JOB_SEALED] =
        {
            [JOB_OUTPUT_MISSING] = JOB_REOPENED,
            [JOB_ACKNOWLEDGMENT_RECORDED] = JOB_ACKNOWLEDGED,
            [JOB_REBOUND] = JOB_SEALED,
        },
    [JOB_REOPENED] =
        {
            [JOB_UPLOADED_AGAIN] = JOB_SEALED,
            [JOB_CLAIM_GONE] = JOB_LOST,
            [JOB_REBOUND] = JOB_REOPENED,
        },
    [JOB_FAILED] =
        {
            [JOB_ACKNOWLEDGMENT_RECORDED] = JOB_ACKNOWLEDGED,
        },
};

static const struct {
    const char *name;
    enum job_need need;
} states[JOB_STATE_COUNT] = {
    [JOB_WRONG] = {"wrong", JOB_NEEDS_NOBODY},
    [JOB_CLAIMED] = {"claimed", JOB_NEEDS_STEP},
    [JOB_TRANSCODED] = {"transcoded", JOB_NEEDS_STEP},
    [JOB_SEALED] = {"sealed", JOB_NEEDS_COURIER},
    [JOB_REOPENED] = {"reopened", JOB_NEEDS_STEP},
    [JOB_FAILED] = {"failed", JOB_NEEDS_COURIER},
    [JOB_LOST] = {"lost", JOB_NEEDS_CLEANUP},
    [JOB_ACKNOWLEDGED] = {"acknowledged", JOB_NEEDS_CLEANUP},
};

static const char *const event_names[JOB_EVENT_COUNT] = {
    [JOB_OUTCOME_RECORDED] = "outcome_recorded",
    [JOB_COMPLETION_SEALED] = "completion_sealed",
    [JOB_FAILURE_SEALED] = "failure_sealed",
    [JOB_OUTPUT_MISSING] = "output_missing",
    [JOB_UPLOADED_AGAIN] = "uploaded_again",
    [JOB_CLAIM_GONE] = "claim_gone",
    [JOB_ACKNOWLEDGMENT_RECORDED] = "acknowledgement_recorded",
    [JOB_REBOUND] = "rebound",
};

enum job_state job_state_of(unsigned files)
{
    for (size_t i = 0; i < sizeof legal / sizeof legal[0]; i++)
        if (legal[i].files == files)
            return legal[i].state;
    return JOB_WRONG;
}

enum job_state job_next(enum job_state state, enum job_event event)
{
    must(state < JOB_STATE_COUNT && event < JOB_EVENT_COUNT);
    return rules[state][event];
}

enum job_need job_need(enum job_state state)
{
    must(state < JOB_STATE_COUNT);
    return states[state].need;
}

const char *job_state_name(enum job_state state)
{
    must(state < JOB_STATE_COUNT);
    return states[state].name;
}

const char *job_event_name(enum job_event event)
{
    must(event < JOB_EVENT_COUNT);
    return event_names[event];
}

int job_holds_slot(enum job_state state)
{
    return state == JOB_CLAIMED;
}
