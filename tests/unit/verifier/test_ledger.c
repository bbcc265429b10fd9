/* The completion without a database and without HTTP: what is acknowledged is committed, once. */
#include "memory_ledger.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define TOKEN_A "7-0f8fad5b-d9cb-469f-a165-70867728950e"
#define TOKEN_B "7-7c9e6679-7425-40de-944b-e07fc1f90ae7"

static struct tailslate_completion completion_of(const char *token)
{
    struct tailslate_completion completion = {
        .renditions = {{TAILSLATE_QUALITY_360P, 640, 360, 600}},
        .rendition_count = 1,
        .duration = 12.5,
        .source_width = 1920,
        .source_height = 1080,
        .format = TAILSLATE_FORMAT_CMAF,
        .codec = TAILSLATE_CODEC_H264,
    };
    snprintf(completion.token, sizeof completion.token, "%s", token);
    return completion;
}

static int complete(struct memory_ledger *memory, const struct tailslate_completion *completion,
                    struct tailslate_result *result)
{
    struct tailslate_ledger ledger = memory_ledger_of(memory);
    struct tailslate_request request = {.job_id = 7, .claim_epoch = 3, .completion = completion};
    memory->calls[0] = '\0';
    return tailslate_complete(&ledger, &request, result);
}

static enum tailslate_verdict verdict_of(struct memory_ledger *memory,
                                         const struct tailslate_completion *completion)
{
    struct tailslate_result result;
    cr_assert_eq(complete(memory, completion, &result), 0);
    return result.verdict;
}

Test(ledger, a_completion_takes_effect_in_the_order_that_the_promises_need)
{
    struct memory_ledger memory;
    struct tailslate_result result;
    struct tailslate_completion completion = completion_of(TOKEN_A);
    memory_ledger_init(&memory);
    cr_assert_eq(complete(&memory, &completion, &result), 0);
    cr_assert_str_eq(memory.calls, "begin lock facts recorded missing write commit");
    cr_assert_eq(result.verdict, TAILSLATE_VERDICT_COMMIT);
    cr_assert_eq(result.claim_epoch, 3);
    cr_assert_str_eq(result.completed_at, "2026-01-03T16:28:00.000001+00:00");
    cr_assert_eq(memory.committed.completion_count, 1);
}

Test(ledger, a_copy_is_answered_from_what_is_on_record_and_writes_nothing)
{
    struct memory_ledger memory;
    struct tailslate_result first, again;
    struct tailslate_completion completion = completion_of(TOKEN_A);
    memory_ledger_init(&memory);
    cr_assert_eq(complete(&memory, &completion, &first), 0);
    snprintf(memory.committed.facts.now, TAILSLATE_TIME_BYTES, "2026-01-04T00:00:00.000000+00:00");
    cr_assert_eq(complete(&memory, &completion, &again), 0);
    cr_assert_eq(again.verdict, TAILSLATE_VERDICT_REPLAY);
    cr_assert_str_eq(again.completed_at, first.completed_at);
    cr_assert_str_eq(memory.calls, "begin lock facts recorded rollback");
    cr_assert_eq(memory.committed.completion_count, 1);
}

Test(ledger, a_token_with_another_content_is_refused)
{
    struct memory_ledger memory;
    struct tailslate_completion completion = completion_of(TOKEN_A);
    memory_ledger_init(&memory);
    cr_assert_eq(verdict_of(&memory, &completion), TAILSLATE_VERDICT_COMMIT);
    completion.duration = 13;
    cr_assert_eq(verdict_of(&memory, &completion), TAILSLATE_VERDICT_TOKEN_REUSED);
    cr_assert_eq(memory.committed.completion_count, 1);
}

Test(ledger, metadata_is_set_only_where_it_is_unset)
{
    struct memory_ledger memory;
    struct tailslate_completion completion = completion_of(TOKEN_A);
    memory_ledger_init(&memory);
    memory.committed.duration = 99;
    cr_assert_eq(verdict_of(&memory, &completion), TAILSLATE_VERDICT_COMMIT);
    cr_assert_float_eq(memory.committed.duration, 99, 0.001);
    cr_assert_eq(memory.committed.source_width, 1920);
    cr_assert_eq(memory.committed.facts.renditions, 1u << TAILSLATE_QUALITY_360P);
}

Test(ledger, an_ordered_retranscode_replaces_metadata)
{
    struct memory_ledger memory;
    struct tailslate_completion completion = completion_of(TOKEN_A);
    memory_ledger_init(&memory);
    memory.committed.duration = 99;
    memory.committed.facts.replaces = true;
    cr_assert_eq(verdict_of(&memory, &completion), TAILSLATE_VERDICT_COMMIT);
    cr_assert_float_eq(memory.committed.duration, 12.5, 0.001);
}

Test(ledger, missing_files_are_named_and_nothing_is_written)
{
    struct memory_ledger memory;
    struct tailslate_result result;
    struct tailslate_completion completion = completion_of(TOKEN_A);
    memory_ledger_init(&memory);
    memory.files = 0;
    cr_assert_eq(complete(&memory, &completion, &result), 0);
    cr_assert_eq(result.verdict, TAILSLATE_VERDICT_FILES_MISSING);
    cr_assert_eq(result.missing, 1u << TAILSLATE_QUALITY_360P);
    cr_assert_str_eq(memory.calls, "begin lock facts recorded missing rollback");
}

Test(ledger, what_fails_anywhere_is_never_acknowledged)
{
    const char *const calls[] = {"begin",   "lock",  "facts", "recorded",
                                 "missing", "write", "commit"};
    struct tailslate_completion completion = completion_of(TOKEN_A);
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        struct memory_ledger memory;
        struct tailslate_result result;
        memory_ledger_init(&memory);
        memory.failing = calls[i];
        cr_assert_eq(complete(&memory, &completion, &result), -1, "%s", calls[i]);
        cr_assert_eq(memory.committed.completion_count, 0, "%s", calls[i]);
        memory.failing = NULL;
        cr_assert_eq(verdict_of(&memory, &completion), TAILSLATE_VERDICT_COMMIT, "%s", calls[i]);
    }
}

Test(ledger, a_transaction_that_was_begun_is_ended_whatever_fails)
{
    const char *const calls[] = {"lock", "facts", "recorded", "missing", "write"};
    struct tailslate_completion completion = completion_of(TOKEN_A);
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        struct memory_ledger memory;
        struct tailslate_result result;
        memory_ledger_init(&memory);
        memory.failing = calls[i];
        cr_assert_eq(complete(&memory, &completion, &result), -1);
        const char *last = strrchr(memory.calls, ' ');
        cr_assert_str_eq(last ? last + 1 : memory.calls, "rollback", "%s", memory.calls);
    }
}

Test(ledger, a_commit_of_unknown_outcome_is_looked_up)
{
    struct memory_ledger memory;
    struct tailslate_result result;
    struct tailslate_completion completion = completion_of(TOKEN_A);
    memory_ledger_init(&memory);
    memory.commit_is_unknown = memory.unknown_took_effect = true;
    cr_assert_eq(complete(&memory, &completion, &result), 0);
    cr_assert_eq(result.verdict, TAILSLATE_VERDICT_COMMIT);

    memory_ledger_init(&memory);
    memory.commit_is_unknown = true;
    cr_assert_eq(complete(&memory, &completion, &result), -1, "it was lost, and acknowledged");
    memory.commit_is_unknown = false;
    cr_assert_eq(verdict_of(&memory, &completion), TAILSLATE_VERDICT_COMMIT);
}

Test(ledger, after_an_unknown_outcome_another_completion_is_not_taken_for_ours)
{
    struct memory_ledger memory;
    struct tailslate_result result;
    struct tailslate_completion completion = completion_of(TOKEN_A);
    memory_ledger_init(&memory);
    /* Ours is lost; another one, of another content, is on record when we read it again. */
    memory.commit_is_unknown = true;
    struct memory_state *state = &memory.committed;
    state->completions[0] = (struct tailslate_recorded){.token = TOKEN_B, .claim_epoch = 3};
    state->completion_count = 1;
    cr_assert_eq(complete(&memory, &completion, &result), -1);
}

Test(ledger, the_guards_of_the_write_have_the_last_word)
{
    struct memory_ledger memory;
    struct tailslate_result result;
    struct tailslate_completion completion = completion_of(TOKEN_A);
    memory_ledger_init(&memory);
    memory.write_is_refused = true;
    cr_assert_eq(complete(&memory, &completion, &result), 0);
    cr_assert_eq(result.verdict, TAILSLATE_VERDICT_SUPERSEDED);
    cr_assert_eq(memory.committed.completion_count, 0);
}

Test(ledger, a_look_reads_one_moment_and_takes_no_lock)
{
    struct memory_ledger memory;
    struct tailslate_result result;
    struct tailslate_completion completion = completion_of(TOKEN_A);
    memory_ledger_init(&memory);
    struct tailslate_ledger ledger = memory_ledger_of(&memory);
    struct tailslate_request request = {
        .job_id = 7, .claim_epoch = TAILSLATE_ABSENT_INT, .completion = &completion};
    cr_assert_eq(tailslate_inspect(&ledger, &request, &result), 0);
    cr_assert_eq(result.verdict, TAILSLATE_VERDICT_COMMIT);
    cr_assert_str_eq(memory.calls, "snapshot facts recorded rollback");
}
