#include "agent/spool/job.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <string.h>

enum { SETS = 1 << JOB_FILE_COUNT };

static unsigned bit(enum job_file file)
{
    return 1u << file;
}

/* What each commit of record.c does to the directory. */
static unsigned after(unsigned files, enum job_event event)
{
    switch (event) {
    case JOB_OUTCOME_RECORDED:
        return files | bit(JOB_FILE_OUTCOME);
    case JOB_COMPLETION_SEALED:
        return files | bit(JOB_FILE_COMPLETION);
    case JOB_FAILURE_SEALED:
        return files | bit(JOB_FILE_FAILURE);
    case JOB_OUTPUT_MISSING:
        return files | bit(JOB_FILE_MISSING);
    case JOB_UPLOADED_AGAIN:
        return files & ~bit(JOB_FILE_MISSING);
    case JOB_CLAIM_GONE:
        return files | bit(JOB_FILE_LOST);
    case JOB_ACKNOWLEDGMENT_RECORDED:
        return files | bit(JOB_FILE_ACKNOWLEDGEMENT);
    case JOB_REBOUND:
        return files;
    case JOB_EVENT_COUNT:
        break;
    }
    cr_assert_fail("no such event");
    return 0;
}

/* Every set that legal events can make out of a fresh claim. */
static void mark_reachable(unsigned files, bool reachable[SETS])
{
    if (reachable[files])
        return;
    reachable[files] = true;
    for (enum job_event event = 0; event < JOB_EVENT_COUNT; event++)
        if (job_next(job_state_of(files), event) != JOB_WRONG)
            mark_reachable(after(files, event), reachable);
}

static enum job_state follow(enum job_state state, const enum job_event *events, size_t count)
{
    for (size_t i = 0; i < count; i++)
        state = job_next(state, events[i]);
    return state;
}
#define FOLLOW(state, ...)                                                                         \
    follow(state, (enum job_event[]){__VA_ARGS__},                                                 \
           sizeof(enum job_event[]){__VA_ARGS__} / sizeof(enum job_event))

Test(job, every_cell_is_what_the_design_says)
{
    /* Columns: outcome, sealed, failure, missing, uploaded again, gone, acknowledged, rebound. */
    static const enum job_state expected[JOB_STATE_COUNT][JOB_EVENT_COUNT] = {
        [JOB_CLAIMED] = {JOB_TRANSCODED, 0, JOB_FAILED, 0, 0, JOB_LOST, 0, JOB_CLAIMED},
        [JOB_TRANSCODED] = {0, JOB_SEALED, 0, 0, 0, JOB_LOST, 0, JOB_TRANSCODED},
        [JOB_SEALED] = {0, 0, 0, JOB_REOPENED, 0, 0, JOB_ACKNOWLEDGED, JOB_SEALED},
        [JOB_REOPENED] = {0, 0, 0, 0, JOB_SEALED, JOB_LOST, 0, JOB_REOPENED},
        [JOB_FAILED] = {0, 0, 0, 0, 0, 0, JOB_ACKNOWLEDGED, 0},
    };
    for (enum job_state state = 0; state < JOB_STATE_COUNT; state++)
        for (enum job_event event = 0; event < JOB_EVENT_COUNT; event++)
            cr_expect_eq(job_next(state, event), expected[state][event], "%s, %s: %s",
                         job_state_name(state), job_event_name(event),
                         job_state_name(job_next(state, event)));
}

Test(job, the_file_an_event_writes_leads_to_the_state_the_table_names)
{
    for (unsigned files = 0; files < SETS; files++) {
        enum job_state state = job_state_of(files);
        for (enum job_event event = 0; event < JOB_EVENT_COUNT; event++) {
            enum job_state next = job_next(state, event);
            if (next != JOB_WRONG)
                cr_expect_eq(job_state_of(after(files, event)), next, "files %#x, %s", files,
                             job_event_name(event));
        }
    }
}

Test(job, a_set_of_files_has_a_state_exactly_if_commits_can_leave_it)
{
    bool reachable[SETS] = {false};
    mark_reachable(bit(JOB_FILE_CLAIM), reachable);
    for (unsigned files = 0; files < SETS; files++)
        cr_expect_eq(job_state_of(files) != JOB_WRONG, reachable[files], "files %#x: %s", files,
                     job_state_name(job_state_of(files)));
}

Test(job, an_unknown_file_bit_is_wrong)
{
    cr_assert_eq(job_state_of(bit(JOB_FILE_CLAIM) | bit(JOB_FILE_COUNT)), JOB_WRONG);
    cr_assert_eq(job_state_of(0), JOB_WRONG);
}

/* P3: from the outcome on there is no way to a failure report. */
Test(job, no_finished_transcode_is_ever_reported_as_a_failure)
{
    bool reachable[SETS] = {false};
    mark_reachable(bit(JOB_FILE_CLAIM) | bit(JOB_FILE_OUTCOME), reachable);
    for (unsigned files = 0; files < SETS; files++)
        if (reachable[files])
            cr_expect_eq(files & bit(JOB_FILE_FAILURE), 0, "files %#x", files);
}

Test(job, only_the_server_s_word_ends_a_sealed_job)
{
    for (enum job_event event = 0; event < JOB_EVENT_COUNT; event++) {
        enum job_state next = job_next(JOB_SEALED, event);
        cr_expect(next == JOB_WRONG || next == JOB_SEALED || next == JOB_REOPENED ||
                      event == JOB_ACKNOWLEDGMENT_RECORDED,
                  "%s leads to %s", job_event_name(event), job_state_name(next));
    }
}

Test(job, what_is_over_stays_over)
{
    for (enum job_event event = 0; event < JOB_EVENT_COUNT; event++) {
        cr_expect_eq(job_next(JOB_LOST, event), JOB_WRONG);
        cr_expect_eq(job_next(JOB_ACKNOWLEDGED, event), JOB_WRONG);
        cr_expect_eq(job_next(JOB_WRONG, event), JOB_WRONG);
    }
}

Test(job, missing_output_is_uploaded_again_and_presented_again)
{
    cr_assert_eq(FOLLOW(JOB_CLAIMED, JOB_REBOUND, JOB_OUTCOME_RECORDED, JOB_COMPLETION_SEALED,
                        JOB_OUTPUT_MISSING, JOB_REBOUND, JOB_UPLOADED_AGAIN, JOB_OUTPUT_MISSING,
                        JOB_UPLOADED_AGAIN, JOB_ACKNOWLEDGMENT_RECORDED),
                 JOB_ACKNOWLEDGED);
}

Test(job, a_rebound_claim_keeps_the_work_where_it_is)
{
    static const enum job_state living[] = {JOB_CLAIMED, JOB_TRANSCODED, JOB_SEALED, JOB_REOPENED};
    for (size_t i = 0; i < sizeof living / sizeof living[0]; i++)
        cr_expect_eq(job_next(living[i], JOB_REBOUND), living[i]);
}

Test(job, the_slot_is_held_until_the_transcoder_is_done_and_no_longer)
{
    for (enum job_state state = 0; state < JOB_STATE_COUNT; state++)
        cr_expect_eq(job_holds_slot(state) != 0, state == JOB_CLAIMED, "%s", job_state_name(state));
}

Test(job, each_state_has_one_who_moves_it_on)
{
    static const enum job_need expected[JOB_STATE_COUNT] = {
        [JOB_WRONG] = JOB_NEEDS_NOBODY,    [JOB_CLAIMED] = JOB_NEEDS_STEP,
        [JOB_TRANSCODED] = JOB_NEEDS_STEP, [JOB_SEALED] = JOB_NEEDS_COURIER,
        [JOB_REOPENED] = JOB_NEEDS_STEP,   [JOB_FAILED] = JOB_NEEDS_COURIER,
        [JOB_LOST] = JOB_NEEDS_CLEANUP,    [JOB_ACKNOWLEDGED] = JOB_NEEDS_CLEANUP,
    };
    for (enum job_state state = 0; state < JOB_STATE_COUNT; state++)
        cr_expect_eq(job_need(state), expected[state], "%s", job_state_name(state));
}

Test(job, every_name_is_there_once)
{
    for (enum job_state left = 0; left < JOB_STATE_COUNT; left++)
        for (enum job_state right = 0; right < left; right++)
            cr_expect_str_neq(job_state_name(left), job_state_name(right));
    for (enum job_event left = 0; left < JOB_EVENT_COUNT; left++)
        for (enum job_event right = 0; right < left; right++)
            cr_expect_str_neq(job_event_name(left), job_event_name(right));
}
