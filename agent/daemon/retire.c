#include "agent/daemon/retire.h"

#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/metrics.h"
#include "lib/cleanup.h"
#include "lib/message_fields.h"
#include "lib/uuid.h"

#include "tailslate/backoff.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    STEP_CHECK_MS = 200, /* a step that has sealed is about to end */
    TICK_MAX = 16,       /* records in one tick: the loop has other things to do */
};
static const struct tailslate_backoff retries = {.base_ms = 1000, .cap_ms = 60 * 1000};

static const char *const outcome_names[OUTCOME_COUNT] = {
    [OUTCOME_COMPLETED] = "completed", [OUTCOME_FAILED] = "failed",
    [OUTCOME_LOST] = "lost",           [OUTCOME_SUPERSEDED] = "superseded",
    [OUTCOME_GONE] = "gone",           [OUTCOME_QUARANTINED] = "quarantined",
};

#define JOBS_METRIC(outcome)                                                                       \
    METRIC_COUNTER("tailslate_agent_jobs_total", "outcome=\"" outcome "\"", "Jobs that have ended.")
static struct metric jobs[OUTCOME_COUNT] = {
    [OUTCOME_COMPLETED] = JOBS_METRIC("completed"),
    [OUTCOME_FAILED] = JOBS_METRIC("failed"),
    [OUTCOME_LOST] = JOBS_METRIC("lost"),
    [OUTCOME_SUPERSEDED] = JOBS_METRIC("superseded"),
    [OUTCOME_GONE] = JOBS_METRIC("gone"),
    [OUTCOME_QUARANTINED] = JOBS_METRIC("quarantined"),
};

void retire_register_metrics(void)
{
    for (size_t i = 0; i < OUTCOME_COUNT; i++)
        metric_register(&jobs[i]);
}

/* Logged once, however often the removal after it is retried. */
static void log_final(struct live *live, enum job_outcome outcome, const char *reason)
{
    if (live->end.is_logged)
        return;
    live->end.is_logged = true;
    roster_note_final(live->node, live->job_id, outcome_names[outcome], reason);
    metric_add(&jobs[outcome], 1);
    if (outcome == OUTCOME_FAILED || outcome == OUTCOME_QUARANTINED)
        roster_note_failure(live->node, live->job_id, reason);
    log_at(outcome == OUTCOME_QUARANTINED ? LOG_ERROR : LOG_INFO, "job.final",
           LOG_INT("job", live->job_id), LOG_TEXT("record", live->id),
           LOG_TEXT("token", live->token), LOG_TEXT("outcome", outcome_names[outcome]),
           LOG_INT("attempts", live->courier.attempts), LOG_TEXT("reason", reason));
}

static void set_aside(struct live *live, enum job_outcome outcome, enum tailslate_problem problem,
                      const char *reason)
{
    const struct spool *spool = &live->node->spool;
    struct error err;
    log_final(live, outcome, reason);
    int moved = outcome == OUTCOME_QUARANTINED
                    ? spool_quarantine(spool, live->id, reason, &err)
                    : spool_retain(spool, live->id, problem, reason, &err);
    if (moved != 0)
        log_error("record.not_moved", LOG_INT("job", live->job_id), LOG_TEXT("record", live->id),
                  LOG_TEXT("reason", err.message));
    roster_forget(live);
}

void retire_into_quarantine(struct live *live, const char *reason)
{
    set_aside(live, OUTCOME_QUARANTINED, TAILSLATE_PROBLEM_NONE, reason);
}

void retire_retain(struct live *live, enum job_outcome outcome, enum tailslate_problem problem,
                   const char *reason)
{
    set_aside(live, outcome, problem, reason);
}

static enum job_outcome outcome_of_problem(enum tailslate_problem problem,
                                           enum job_outcome otherwise)
{
    return problem == TAILSLATE_PROBLEM_JOB_GONE ? OUTCOME_GONE : otherwise;
}

/* A failure report may also have been answered by a final refusal. */
static int read_acknowledged(int dir, enum job_outcome *outcome, struct error *err)
{
    TEXT(answer) = NULL;
    TEXT(body) = NULL;
    size_t size, body_size;
    bool is_failure;
    struct message_problem said;
    if (record_read_acknowledgment(dir, &answer, &size, err) != 0 ||
        record_read_sealed(dir, &body, &body_size, &is_failure, err) != 0)
        return -1;
    message_problem_parse(answer, size, &said);
    *outcome = is_failure ? OUTCOME_FAILED : OUTCOME_COMPLETED;
    if (said.problem == TAILSLATE_PROBLEM_CLAIM_LOST)
        *outcome = OUTCOME_SUPERSEDED;
    *outcome = outcome_of_problem(said.problem, *outcome);
    return 0;
}

static int remove_record(struct live *live, enum job_outcome outcome, const char *reason,
                         struct error *err)
{
    const struct spool *spool = &live->node->spool;
    if (spool_remove_outputs(spool, live->id, err) != 0)
        return -1;
    crash_point(CRASH_AGENT_OUTPUTS_REMOVED);
    log_final(live, outcome, reason);
    if (spool_remove(spool, live->id, err) != 0)
        return -1;
    crash_point(CRASH_AGENT_RECORD_REMOVED);
    roster_forget(live);
    return 0;
}

static int retire_lost(struct live *live, int dir, struct error *err)
{
    enum tailslate_problem why;
    char detail[256];
    struct record_outcome outcome;
    struct error ignored;
    if (record_read_lost(dir, &why, detail, err) != 0)
        return -1;
    enum job_outcome end = outcome_of_problem(why, OUTCOME_LOST);
    bool is_transcoded = record_read_outcome(dir, &outcome, &ignored) == 0;
    if (!is_transcoded)
        return remove_record(live, end, detail, err);
    retire_retain(live, end, TAILSLATE_PROBLEM_NONE, detail);
    return 0;
}

/* What was reported, for `status`: it would be deleted with the record. */
static void read_failure(int dir, char text[ROSTER_REASON_BYTES])
{
    TEXT(body) = NULL;
    size_t size;
    bool is_failure;
    struct message_failure failure;
    struct error ignored;
    if (record_read_sealed(dir, &body, &size, &is_failure, &ignored) == 0 && is_failure &&
        message_failure_parse(body, size, &failure, &ignored) == TAILSLATE_PROBLEM_NONE)
        text_cut_lines(text, ROSTER_REASON_BYTES, failure.reason);
    text[strcspn(text, "\n")] = '\0';
}

/* The reason of a failure, or warnings about work that succeeded. */
static void read_reason(int dir, enum job_outcome end, char text[ROSTER_REASON_BYTES])
{
    struct record_outcome outcome;
    struct error ignored;
    size_t used = 0;
    text[0] = '\0';
    if (end == OUTCOME_FAILED)
        read_failure(dir, text);
    if (end != OUTCOME_COMPLETED || record_read_outcome(dir, &outcome, &ignored) != 0)
        return;
    const struct tailslate_warnings *warnings = &outcome.completion.warnings;
    for (size_t i = 0; i < warnings->count && used < ROSTER_REASON_BYTES; i++)
        used += (size_t)snprintf(text + used, ROSTER_REASON_BYTES - used, "%s%s",
                                 i ? "; " : "warning: ", warnings->texts[i]);
}

static void postpone(struct live *live, int64_t due_ms)
{
    if (job_need(live->state) == JOB_NEEDS_CLEANUP)
        due_put(&live->node->ends, &live->end.due, due_ms, 0);
    else
        due_take(&live->node->ends, &live->end.due);
}

/* 0: removed, or must not be touched yet. */
static int retire(struct live *live, int64_t now_ms, struct error *err)
{
    FD(dir) = roster_open(live, err);
    if (dir < 0)
        return -1;
    if (live->step.pidfd >= 0 || record_is_locked(dir)) {
        postpone(live, now_ms + STEP_CHECK_MS);
        return 0;
    }
    if (live->state == JOB_LOST)
        return retire_lost(live, dir, err);
    enum job_outcome outcome;
    char reason[ROSTER_REASON_BYTES];
    if (read_acknowledged(dir, &outcome, err) != 0)
        return -1;
    read_reason(dir, outcome, reason);
    return remove_record(live, outcome, reason, err);
}

static void retire_or_postpone(struct live *live, int64_t now_ms)
{
    struct error err;
    if (retire(live, now_ms, &err) == 0)
        return;
    if (err.class == ERROR_PERMANENT && err.code == EBADMSG) {
        retire_into_quarantine(live, err.message);
        return;
    }
    postpone(live,
             now_ms + tailslate_backoff_delay_ms(retries, live->end.failures++, -1, random_u64()));
    log_warning("record.not_removed", LOG_INT("job", live->job_id), LOG_TEXT("record", live->id),
                LOG_TEXT("reason", err.message));
}

int64_t retire_tick(struct node *node, int64_t now_ms)
{
    struct live *live = due_first(&node->ends);
    for (int i = 0; i < TICK_MAX && live && live->end.due.at_ms <= now_ms; i++) {
        retire_or_postpone(live, now_ms);
        live = due_first(&node->ends);
    }
    return live ? live->end.due.at_ms : NODE_NEVER;
}

void retire_again(struct live *live)
{
    postpone(live, 0);
}

static void on_state(struct live *live, int dir, enum job_state former)
{
    (void)dir;
    (void)former;
    retire_again(live);
}

static void on_forget(struct live *live)
{
    due_take(&live->node->ends, &live->end.due);
}

const struct roster_owner retire_owner = {.on_state = on_state, .on_forget = on_forget};
