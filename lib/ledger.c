#include "tailslate/ledger.h"

#include <string.h>

struct completing {
    const struct tailslate_ledger *ledger;
    const struct tailslate_request *request;
    struct tailslate_facts facts;
    struct tailslate_result *result;
};

static void judge(struct completing *completing)
{
    const struct tailslate_request *request = completing->request;
    struct tailslate_verify_request asked = {
        .epoch_given = request->claim_epoch != TAILSLATE_ABSENT_INT,
        .epoch = request->claim_epoch,
        .qualities_empty = request->completion->rendition_count == 0,
    };
    completing->result->verdict = tailslate_verify_completion(&asked, &completing->facts.claim);
}

static void compare(struct completing *completing, const struct tailslate_recorded *recorded)
{
    const char *token = completing->request->completion->token;
    struct tailslate_facts *facts = &completing->facts;
    struct tailslate_result *result = completing->result;
    facts->claim.token_known = token[0] && strcmp(recorded->token, token) == 0;
    facts->claim.fingerprint_same = strcmp(recorded->fingerprint,
                                           completing->request->fingerprint) == 0;
    result->late = recorded->late;
    result->claim_epoch = recorded->claim_epoch;
    memcpy(result->completed_at, recorded->completed_at, sizeof result->completed_at);
    /* The server that assigns claims does not count them, and this very claim was completed before:
     * a re-transcode that nobody announced. */
    facts->replaces |= recorded->claim_epoch == facts->claim.epoch;
}

/* Everything but the files, which are only checked under the lock. */
static int classify(struct completing *completing)
{
    const struct tailslate_ledger *ledger = completing->ledger;
    struct tailslate_result *result = completing->result;
    *result = (struct tailslate_result){0};
    completing->facts = (struct tailslate_facts){0};
    if (ledger->facts(ledger->ctx, completing->request, &completing->facts) != 0)
        return -1;
    if (completing->facts.claim.job_found) {
        struct tailslate_recorded recorded = {0};
        int found = ledger->recorded(ledger->ctx, completing->request, &recorded);
        if (found < 0)
            return -1;
        if (found > 0)
            compare(completing, &recorded);
        completing->facts.claim.qualities_recorded = completing->facts.renditions != 0;
    }
    judge(completing);
    /* Completed by a server that records no completions: the job itself is the record. */
    if (result->verdict == TAILSLATE_VERDICT_REPLAY && !result->completed_at[0])
        memcpy(result->completed_at, completing->facts.completed_at, sizeof result->completed_at);
    return 0;
}

static int check_files(struct completing *completing)
{
    const struct tailslate_ledger *ledger = completing->ledger;
    tailslate_quality_set missing = 0;
    if (ledger->missing(ledger->ctx, completing->request, &missing) != 0)
        return -1;
    completing->result->missing = missing;
    completing->facts.claim.files_missing = missing != 0;
    judge(completing);
    return 0;
}

/* 1: written; 0: nothing to write, the verdict says why; -1. */
static int write_effect(struct completing *completing)
{
    const struct tailslate_ledger *ledger = completing->ledger;
    struct tailslate_facts *facts = &completing->facts;
    struct tailslate_result *result = completing->result;
    tailslate_quality_set named = tailslate_completion_qualities(completing->request->completion);
    result->late = result->verdict == TAILSLATE_VERDICT_COMMIT_LATE;
    result->claim_epoch = facts->claim.epoch;
    memcpy(result->completed_at, facts->now, sizeof result->completed_at);
    struct tailslate_effect effect = {
        .request = completing->request,
        .facts = facts,
        .result = result,
        .replaces = facts->replaces,
        .format_is_default = facts->replaces || facts->renditions == 0,
        .written = named & ~facts->renditions,
    };
    int written = ledger->write(ledger->ctx, &effect);
    if (written != 0)
        return written;
    /* The write's own conditions refused it: classify again to find out why. */
    if (classify(completing) != 0)
        return -1;
    return tailslate_verify_commits(result->verdict) ? -1 : 0;
}

static int work(struct completing *completing)
{
    const struct tailslate_ledger *ledger = completing->ledger;
    if (ledger->lock(ledger->ctx, completing->request) != 0 || classify(completing) != 0)
        return -1;
    if (tailslate_verify_commits(completing->result->verdict) && check_files(completing) != 0)
        return -1;
    return tailslate_verify_commits(completing->result->verdict) ? write_effect(completing) : 0;
}

static int inspect(struct completing *completing)
{
    const struct tailslate_ledger *ledger = completing->ledger;
    if (ledger->begin(ledger->ctx, TAILSLATE_READ) != 0)
        return -1;
    int done = classify(completing);
    ledger->rollback(ledger->ctx);
    return done;
}

/* The commit may or may not have happened. Only a completion on record is acknowledged, and it is
 * this one if it has this claim, content and token. */
static int resolve(struct completing *completing)
{
    struct tailslate_result wanted = *completing->result;
    struct tailslate_result *result = completing->result;
    if (inspect(completing) != 0 || result->verdict != TAILSLATE_VERDICT_REPLAY ||
        result->claim_epoch != wanted.claim_epoch || !completing->facts.claim.fingerprint_same)
        return -1;
    if (completing->facts.claim.token_known || !completing->request->completion->token[0])
        result->verdict = wanted.verdict;
    return 0;
}

static struct completing begin(const struct tailslate_ledger *ledger,
                               struct tailslate_request *request, struct tailslate_result *result)
{
    tailslate_completion_fingerprint(request->completion, request->fingerprint);
    return (struct completing){.ledger = ledger, .request = request, .result = result};
}

int tailslate_inspect(const struct tailslate_ledger *ledger, struct tailslate_request *request,
                      struct tailslate_result *result)
{
    struct completing completing = begin(ledger, request, result);
    return inspect(&completing);
}

int tailslate_complete(const struct tailslate_ledger *ledger, struct tailslate_request *request,
                       struct tailslate_result *result)
{
    struct completing completing = begin(ledger, request, result);
    if (ledger->begin(ledger->ctx, TAILSLATE_WRITE) != 0)
        return -1;
    int written = work(&completing);
    if (written <= 0) {
        ledger->rollback(ledger->ctx);
        return written;
    }
    switch (ledger->commit(ledger->ctx)) {
    case TAILSLATE_COMMITTED:
        return 0;
    case TAILSLATE_FAILED:
        return -1;
    case TAILSLATE_UNKNOWN:
        return resolve(&completing);
    }
    return -1;
}
