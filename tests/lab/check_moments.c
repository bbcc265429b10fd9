/* What comes late, twice or from a stale look, and what it must not change. */
#include "check.h"

#include <string.h>

/* How long after the end of a fault its effects may show. */
enum { AFTER_US = 1000 * 1000 };
/* The gate's budget is not spent in a call that takes less. */
enum { PROMPT_US = 150 * 1000 };

static long long whole(int64_t value)
{
    return value;
}

/* ---- P6 -------------------------------------------------------------------------------------- */

/* Of a claim that nobody has, or whose job was completed before. */
static void check_released(struct evidence *evidence, const struct json *sweep, int64_t job,
                           int64_t epoch)
{
    const struct json *completion = completion_of(evidence, job, epoch);
    if (job == 0) /* what it says of an outage */
        return;
    if (epoch == 0)
        complain(evidence, "P6", "job %lld: a sweep released what was not claimed", whole(job));
    else if (completion && real_us(evidence, completion, "committed_at") != 0 &&
             real_us(evidence, sweep, "swept_at") > real_us(evidence, completion, "committed_at") &&
             orders(evidence, "retranscode", job) == 0)
        complain(evidence, "P6", "job %lld: claim %lld was released after its completion",
                 whole(job), whole(epoch));
}

static void check_sweeps(struct evidence *evidence)
{
    EACH_ROW(evidence, sweep, "sweeps")
    for (const struct json *item = json_first(json_get(sweep, "released")); item;
         item = json_next(item))
        check_released(evidence, sweep, number(item, "job"), number(item, "epoch"));
}

static bool has_member(const struct json *object, const char *name)
{
    const char *key;
    for (int i = 0; (key = json_key_at(object, i)) != NULL; i++)
        if (strcmp(key, name) == 0)
            return true;
    return false;
}

/* Whoever completed it last, and no release has taken that away. */
static void check_holder(struct evidence *evidence, const struct json *row)
{
    int64_t job = number(row, "id");
    const struct json *last = NULL;
    EACH_ROW(evidence, completion, "completions")
    if (number(completion, "job_id") == job &&
        (!last || number(completion, "claim_epoch") > number(last, "claim_epoch")))
        last = completion;
    /* A re-transcode that was ordered and taken back forgets the worker alone. */
    if (last && orders(evidence, "retranscode", job) == 0 && has_member(row, "worker_id") &&
        time_us(row, "completed_at") == time_us(last, "committed_at") &&
        strcmp(text(row, "worker_id"), text(last, "worker_id")) != 0)
        complain(evidence, "P6", "job %lld: completed by worker %s, and now it says \"%s\"",
                 whole(job), text(last, "worker_id"), text(row, "worker_id"));
}

/* A failure that is reported once its claim has completed the job is neither counted nor kept. */
static void check_failure(struct evidence *evidence, const struct json *row)
{
    int64_t job = number(row, "job_id"), epoch = number(row, "claim_epoch");
    if (completion_of(evidence, job, epoch))
        complain(evidence, "P6", "job %lld: claim %lld has completed it and has failed", whole(job),
                 whole(epoch));
}

/* ---- P7, P8 ---------------------------------------------------------------------------------- */

/* While one of these lasts the gate cannot be given back, or need not. */
static const char *const of_gate[] = {
    "kill-redis",    "hang-redis",     "flush-redis", "forge-redis",      "kill-verifier",
    "stop-verifier", "crash-verifier", "outage",      "restart-verifier", NULL};
/* While one of these lasts the database may be away, and is said to be. */
static const char *const of_database[] = {"lock-rows",
                                          "full-server-disk",
                                          "bad-server-disk",
                                          "cut-commit",
                                          "crash-database",
                                          "hang-database",
                                          "restart-database",
                                          "restart-verifier",
                                          "stop-verifier",
                                          "set-clock",
                                          NULL};

static bool is_among(const char *const names[], const char *name)
{
    for (; *names; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

/* A fault of these was done so shortly before the call's end that it may be why. */
static bool is_excused(const struct evidence *evidence, const struct json *call,
                       const char *const names[])
{
    EACH_LINE(evidence, fault, "fault", NULL)
    if (is_among(names, text(fault, "fault")) && flag(fault, "done") &&
        number(call, "answered_us") > number(fault, "at_us") - AFTER_US &&
        number(call, "asked_us") <
            number(fault, "at_us") + number(fault, "amount") * 1000 + AFTER_US)
        return true;
    return false;
}

/* It may not have been able to give the gate back, or had no time to. */
static bool may_keep_gate(const struct evidence *evidence, const struct json *call)
{
    return number(call, "status") == 0 ||
           number(call, "answered_us") > number(call, "asked_us") + PROMPT_US ||
           is_excused(evidence, call, of_gate);
}

/* Whoever was answered has given the gate back. A replay does not enter it, so each call counts. */
static void check_gate(struct evidence *evidence, const struct json *row, int64_t at_us)
{
    static const char ours[] = "processing:", forged[] = "processing:somebody";
    const char *token = strrchr(text(row, "key"), ':'), *value = text(row, "value");
    int calls = 0, kept = 0;
    if (!token || strncmp(value, ours, sizeof ours - 1) != 0 || strcmp(value, forged) == 0)
        return;
    EACH_LINE(evidence, call, "call", "complete")
    {
        if (strcmp(text(call, "token"), token + 1) != 0 || number(call, "asked_us") > at_us)
            continue;
        calls++;
        kept += may_keep_gate(evidence, call);
    }
    if (calls > 0 && kept == 0)
        complain(evidence, "P7", "token %s was answered and is still held in Redis", token + 1);
}

/* It changes nothing, so it is no trouble. */
static void check_late_failure(struct evidence *evidence, const struct json *call)
{
    if (flag(call, "forged") && number(call, "status") >= 500 &&
        !is_excused(evidence, call, of_database))
        complain(evidence, "P6", "job %lld: a failure after the completion is answered %lld (%s)",
                 whole(number(call, "job")), whole(number(call, "status")),
                 text(json_get(call, "answer"), "code"));
}

/* ---- P9 -------------------------------------------------------------------------------------- */

/* A leader goes once, when it ends or its lease does; it does not come back at once. */
static void check_sweepers(struct evidence *evidence)
{
    EACH_LINE(evidence, line, "sweeper", NULL)
    {
        const struct json *next = line_after(line, "sweeper", NULL);
        const struct json *again = next ? line_after(next, "sweeper", NULL) : NULL;
        const struct json *storm = line_after(line, "round", NULL);
        bool is_peace = again && (!storm || number(storm, "at_us") > number(again, "at_us"));
        if (is_peace && strcmp(text(line, "instance"), text(again, "instance")) == 0)
            complain(evidence, "P9", "instances %s and %s sweep in turns", text(line, "instance"),
                     text(next, "instance"));
    }
}

void check_moments(struct evidence *evidence)
{
    check_sweeps(evidence);
    check_sweepers(evidence);
    EACH_ROW(evidence, job, "transcoding_jobs")
    check_holder(evidence, job);
    EACH_ROW(evidence, failure, "failures")
    check_failure(evidence, failure);
    EACH_LINE(evidence, call, "call", "fail")
    check_late_failure(evidence, call);
    EACH_LINE(evidence, line, "gate", NULL)
    for (const struct json *row = json_first(json_get(line, "rows")); row; row = json_next(row))
        check_gate(evidence, row, number(line, "at_us"));
}
