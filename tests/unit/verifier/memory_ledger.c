#include "memory_ledger.h"

#include <stdio.h>
#include <string.h>

enum { EPOCH = 3 };

void memory_ledger_init(struct memory_ledger *memory)
{
    *memory = (struct memory_ledger){.files = ~0u};
    memory->committed.facts = (struct tailslate_facts){
        .claim = {.job_found = true,
                  .holder = TAILSLATE_HOLDER_CALLER,
                  .last_holder = TAILSLATE_HOLDER_CALLER,
                  .epoch = EPOCH},
        .now = "2026-01-03T16:28:00.000001+00:00",
    };
}

/* Notes the call; false: it is to fail. */
static bool note(struct memory_ledger *memory, const char *call)
{
    size_t used = strlen(memory->calls);
    snprintf(memory->calls + used, sizeof memory->calls - used, "%s%s", used ? " " : "", call);
    return !memory->failing || strcmp(memory->failing, call) != 0;
}

static int begin(void *ctx, enum tailslate_access access)
{
    struct memory_ledger *memory = ctx;
    memory->working = memory->committed;
    return note(memory, access == TAILSLATE_WRITE ? "begin" : "snapshot") ? 0 : -1;
}

static int lock(void *ctx, const struct tailslate_request *request)
{
    (void)request;
    return note(ctx, "lock") ? 0 : -1;
}

static int facts(void *ctx, const struct tailslate_request *request, struct tailslate_facts *facts)
{
    struct memory_ledger *memory = ctx;
    (void)request;
    *facts = memory->working.facts;
    return note(memory, "facts") ? 0 : -1;
}

static int recorded(void *ctx, const struct tailslate_request *request,
                    struct tailslate_recorded *recorded)
{
    struct memory_ledger *memory = ctx;
    const struct memory_state *state = &memory->working;
    if (!note(memory, "recorded"))
        return -1;
    for (size_t i = 0; i < state->completion_count; i++) {
        *recorded = state->completions[i];
        if (strcmp(recorded->token, request->completion->token) == 0)
            break;
    }
    return state->completion_count > 0;
}

static int missing(void *ctx, const struct tailslate_request *request,
                   tailslate_quality_set *missing)
{
    struct memory_ledger *memory = ctx;
    *missing = tailslate_completion_qualities(request->completion) & ~memory->files;
    return note(memory, "missing") ? 0 : -1;
}

static int write_all(void *ctx, const struct tailslate_effect *effect)
{
    struct memory_ledger *memory = ctx;
    struct memory_state *state = &memory->working;
    const struct tailslate_completion *completion = effect->request->completion;
    if (!note(memory, "write"))
        return -1;
    if (memory->write_is_refused) {
        state->facts.claim.last_holder = TAILSLATE_HOLDER_OTHER;
        state->facts.claim.held = true;
        return 0;
    }
    struct tailslate_recorded *row = &state->completions[state->completion_count++];
    memcpy(row->token, completion->token, sizeof row->token);
    memcpy(row->fingerprint, effect->request->fingerprint, sizeof row->fingerprint);
    row->claim_epoch = effect->result->claim_epoch;
    row->late = effect->result->late;
    memcpy(row->completed_at, effect->result->completed_at, sizeof row->completed_at);
    state->facts.claim.closed = true;
    memcpy(state->facts.completed_at, row->completed_at, sizeof row->completed_at);
    state->facts.renditions |= effect->written;
    if (effect->replaces || state->duration <= 0)
        state->duration = completion->duration;
    if (effect->replaces || state->source_width == 0)
        state->source_width = completion->source_width;
    if (effect->format_is_default || state->codec == TAILSLATE_CODEC_ABSENT)
        state->codec = completion->codec;
    return 1;
}

static enum tailslate_outcome commit(void *ctx)
{
    struct memory_ledger *memory = ctx;
    if (!note(memory, "commit"))
        return TAILSLATE_FAILED;
    if (!memory->commit_is_unknown || memory->unknown_took_effect)
        memory->committed = memory->working;
    return memory->commit_is_unknown ? TAILSLATE_UNKNOWN : TAILSLATE_COMMITTED;
}

static void rollback(void *ctx)
{
    note(ctx, "rollback");
}

struct tailslate_ledger memory_ledger_of(struct memory_ledger *memory)
{
    return (struct tailslate_ledger){memory,  begin,     lock,   facts,   recorded,
                                     missing, write_all, commit, rollback};
}
