#include "lib/cleanup.h"
#include "lib/durable.h"
#include "lib/outbox_judge.h"
#include "lib/outbox_private.h"
#include "lib/uuid.h"

#include <limits.h>
#include <string.h>

/* A stock server answers a token that it has seen within 900 s from a cache, and does not check
 * whether it was committed. The same completion without its token is answered from the database.
 * It must not overlap with the first one, or both take effect: hence the pause. */
enum { PAST_CACHE_MS = 60 * 1000 };

static int64_t delay_ms(enum tailslate_outbox_outcome outcome, const struct outbox_entry *entry,
                        struct tailslate_backoff policy, int64_t retry_after_ms)
{
    uint64_t random = random_u64();
    if (outcome != TAILSLATE_OUTBOX_HELD && outcome != TAILSLATE_OUTBOX_CLAIM_GONE)
        return tailslate_backoff_delay_ms(policy, entry->failures - 1, retry_after_ms, random);
    /* An operator has to act: the pause is half the cap to the cap from the first attempt on. */
    int64_t half_ms = policy.cap_ms - policy.cap_ms / 2;
    return tailslate_backoff_delay_ms((struct tailslate_backoff){half_ms, half_ms}, 0,
                                      retry_after_ms > half_ms ? retry_after_ms : half_ms, random);
}

/* Acknowledged or refused for good: the record goes. 0 once that is on the disk; else it is tried
 * again, by presenting it again. */
static int settle(struct tailslate_outbox *outbox, const struct outbox_record *record,
                  enum tailslate_outbox_outcome outcome)
{
    char name[OUTBOX_NAME_BYTES], aside[OUTBOX_NAME_BYTES];
    outbox_name(record->job_id, name);
    if (outcome == TAILSLATE_OUTBOX_ACKNOWLEDGED)
        return durable_unlink(outbox->dir, name, &outbox->err);
    snprintf(aside, sizeof aside, "%s.json", record->token);
    return durable_rename(outbox->dir, name, outbox->refused, aside, &outbox->err);
}

/* It was settled, but not durably: finish that. */
static int finish_settling(struct tailslate_outbox *outbox)
{
    if (durable_sync_dir(outbox->refused, &outbox->err) < 0)
        return -1;
    return durable_sync_dir(outbox->dir, &outbox->err);
}

static char *body_to_send(const struct outbox_record *record, bool past_cache)
{
    struct tailslate_completion completion;
    if (!past_cache ||
        tailslate_completion_parse(record->body, strlen(record->body), record->job_id, &completion,
                                   NULL) != TAILSLATE_PROBLEM_NONE)
        return must_strdup(record->body);
    completion.token[0] = '\0';
    return tailslate_completion_format(&completion);
}

static struct tailslate_outbox_answer *ask(const struct outbox_record *record, bool past_cache,
                                           const struct tailslate_outbox_sender *sender)
{
    struct tailslate_outbox_answer *answer = must_calloc(1, sizeof *answer);
    TEXT(body) = body_to_send(record, past_cache);
    struct tailslate_outbox_post post = {.job_id = record->job_id,
                                         .claim_epoch = record->claim_epoch,
                                         .token = past_cache ? "" : record->token,
                                         .body = body};
    answer->reach = TAILSLATE_REACH_UNREACHED;
    answer->retry_after_ms = -1;
    sender->send(sender->ctx, &post, answer);
    answer->content_type[sizeof answer->content_type - 1] = '\0';
    if (answer->body_size > sizeof answer->body)
        answer->body_size = sizeof answer->body;
    return answer;
}

struct attempt {
    struct outbox_judgment judgment;
    int64_t retry_after_ms;
    bool is_over; /* the record is gone, durably */
};

static void attempt_record(struct tailslate_outbox *outbox, struct outbox_entry *entry,
                           const struct outbox_record *record,
                           const struct tailslate_outbox_sender *sender, struct attempt *attempt)
{
    struct outbox_judgment *judgment = &attempt->judgment;
    struct tailslate_outbox_answer *answer = ask(record, entry->past_cache, sender);
    outbox_judge(record->token, entry->past_cache, answer, judgment);
    attempt->retry_after_ms = answer->retry_after_ms;
    free(answer);
    if (judgment->may_be_cached) {
        entry->past_cache = true;
        attempt->retry_after_ms = PAST_CACHE_MS;
    }
    if (judgment->outcome != TAILSLATE_OUTBOX_ACKNOWLEDGED &&
        judgment->outcome != TAILSLATE_OUTBOX_REFUSED)
        return;
    attempt->is_over = settle(outbox, record, judgment->outcome) == 0;
    if (!attempt->is_over)
        snprintf(judgment->why, sizeof judgment->why, "%.250s", outbox->err.message);
}

static void attempt_entry(struct tailslate_outbox *outbox, struct outbox_entry *entry,
                          const struct tailslate_outbox_sender *sender, struct attempt *attempt)
{
    RECORD(record);
    int found = outbox_read(outbox, entry->job_id, &record);
    if (found > 0 && record.body) {
        attempt_record(outbox, entry, &record, sender, attempt);
        return;
    }
    attempt->judgment.outcome = TAILSLATE_OUTBOX_LOCAL;
    attempt->is_over = found == 0 && finish_settling(outbox) == 0;
    snprintf(attempt->judgment.why, sizeof attempt->judgment.why, "%.250s", outbox->err.message);
}

static void report(const struct tailslate_outbox_sender *sender, int64_t job_id,
                   const struct outbox_judgment *judgment)
{
    struct tailslate_outbox_report said = {.job_id = job_id,
                                           .outcome = judgment->outcome,
                                           .problem = judgment->problem,
                                           .missing = judgment->missing,
                                           .why = judgment->why};
    if (sender->report)
        sender->report(sender->ctx, &said);
}

static void present(struct tailslate_outbox *outbox, struct outbox_entry *entry, int64_t now_ms,
                    const struct tailslate_outbox_sender *sender)
{
    struct attempt attempt = {.retry_after_ms = -1};
    int64_t job_id = entry->job_id;
    attempt_entry(outbox, entry, sender, &attempt);
    if (attempt.is_over)
        outbox_drop(outbox, entry);
    else {
        entry->failures += entry->failures < UINT_MAX;
        entry->due_ms = now_ms + delay_ms(attempt.judgment.outcome, entry, sender->backoff,
                                          attempt.retry_after_ms);
    }
    report(sender, job_id, &attempt.judgment);
}

int64_t tailslate_outbox_deliver(struct tailslate_outbox *outbox, int64_t now_ms,
                                 const struct tailslate_outbox_sender *sender)
{
    int64_t next_ms = -1;
    /* Backwards: the entry that replaces a dropped one has been handled already. */
    for (size_t i = outbox->count; i-- > 0;)
        if (outbox->entries[i].sealed && outbox->entries[i].due_ms <= now_ms)
            present(outbox, &outbox->entries[i], now_ms, sender);
    for (size_t i = 0; i < outbox->count; i++) {
        int64_t left_ms = outbox->entries[i].due_ms - now_ms;
        if (outbox->entries[i].sealed && (next_ms < 0 || left_ms < next_ms))
            next_ms = left_ms;
    }
    return next_ms;
}
