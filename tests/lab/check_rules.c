/* The promises as far as history and database tell. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

/* The verifier's clock and the proxy's are the same; between a reading of it and the write of what
 * was read lies a little time. */
enum {
    SLACK_US = 250 * 1000,
    RECOVERY_US = 30 * 1000 * 1000,
    LONG_EXPIRED_DURATIONS = 4,
    UNSEEN_STEP_MS = 16 * 1000
};

static long long whole(int64_t value)
{
    return value;
}

/* ---- P1, P2, P7 ------------------------------------------------------------------------------ */

static const struct json *completion_by_token(const struct evidence *evidence, const char *token)
{
    EACH_ROW(evidence, row, "completions")
    if (*token && strcmp(text(row, "token"), token) == 0)
        return row;
    return NULL;
}

/* Where a worker presented two tokens for one claim, only one of them is on record. */
static const struct json *completion_by_call(const struct evidence *evidence,
                                             const struct json *call)
{
    int64_t job = number(call, "job"), epoch = number(call, "epoch");
    const struct json *row = completion_by_token(evidence, text(call, "token"));
    bool is_other = !row && flag(json_get(call, "answer"), "replayed") &&
                    has_second_token(evidence, job, epoch);
    return is_other ? completion_of(evidence, job, epoch) : row;
}

static bool is_acknowledgement(const struct json *call)
{
    return number(call, "status") / 100 == 2 &&
           strcmp(text(json_get(call, "answer"), "status"), "ok") == 0;
}

static void check_acknowledgement(struct evidence *evidence, const struct json *call)
{
    const struct json *answer = json_get(call, "answer");
    const struct json *row = completion_by_call(evidence, call);
    int64_t job = number(call, "job");
    if (strcmp(text(answer, "token"), text(call, "token")) != 0)
        complain(evidence, "P1", "job %lld: token %s was answered with token %s", whole(job),
                 text(call, "token"), text(answer, "token"));
    if (!row && !is_deleted(evidence, job))
        complain(evidence, faults_done(evidence, "forge-redis") ? "P1, P8" : "P1",
                 "job %lld: token %s was acknowledged and is not on record%s", whole(job),
                 text(call, "token"), flag(answer, "replayed") ? " (a replay)" : "");
    if (!row)
        return;
    if (number(row, "job_id") != job || number(row, "claim_epoch") != number(call, "epoch"))
        complain(evidence, "P1", "job %lld: token %s is on record for job %lld, claim %lld",
                 whole(job), text(call, "token"), whole(number(row, "job_id")),
                 whole(number(row, "claim_epoch")));
    if (real_us(evidence, row, "committed_at") > number(call, "answered_us"))
        complain(evidence, "P1", "job %lld: token %s was acknowledged before its commit",
                 whole(job), text(call, "token"));
    if (time_us(row, "committed_at") != time_us(answer, "completed_at"))
        complain(evidence, "P1", "job %lld: %s acknowledged, %s on record", whole(job),
                 text(answer, "completed_at"), text(row, "committed_at"));
}

/* The first answer is the effect; of one token there is one, and of one claim. */
static void check_one_effect(struct evidence *evidence, const struct json *call)
{
    for (const struct json *other = line_after(call, "call", "complete"); other;
         other = line_after(other, "call", "complete"))
        if (is_acknowledgement(other) && !flag(json_get(other, "answer"), "replayed") &&
            (strcmp(text(other, "token"), text(call, "token")) == 0 ||
             (number(other, "job") == number(call, "job") &&
              number(other, "epoch") == number(call, "epoch"))))
            complain(evidence, "P2", "job %lld: token %s took effect twice",
                     whole(number(call, "job")), text(call, "token"));
}

/* When all was well again, as far as it is until the next storm; 0: not yet, at that time. */
static int64_t healed_us(const struct evidence *evidence, int64_t at_us)
{
    int64_t last_us = 0;
    EACH_LINE(evidence, line, "healed", NULL)
    if (number(line, "at_us") < at_us)
        last_us = number(line, "at_us");
    EACH_LINE(evidence, line, "round", NULL)
    if (number(line, "at_us") > last_us && number(line, "at_us") < at_us)
        return 0;
    return last_us;
}

static void check_recovery(struct evidence *evidence, const struct json *call)
{
    int64_t well_us = healed_us(evidence, number(call, "asked_us"));
    if (well_us && number(call, "asked_us") > well_us + RECOVERY_US &&
        (number(call, "status") == 0 || number(call, "status") >= 500))
        complain(evidence, "P7", "job %lld: token %s is answered %lld, 30 s after all was well",
                 whole(number(call, "job")), text(call, "token"), whole(number(call, "status")));
}

/* Two rows that agree in both columns. */
static void check_unique(struct evidence *evidence, const char *table, const char *first,
                         const char *second)
{
    EACH_ROW(evidence, row, table)
    for (const struct json *other = json_next(row); other; other = json_next(other))
        if (number(row, first) == number(other, first) &&
            number(row, second) == number(other, second) &&
            strcmp(text(row, second), text(other, second)) == 0)
            complain(evidence, "P2", "%s: %s %lld has %s %lld%s twice", table, first,
                     whole(number(row, first)), second, whole(number(row, second)),
                     text(row, second));
}

/* The video and the job say of their completions what the completions say. */
static void check_effects(struct evidence *evidence, const struct json *job)
{
    int64_t id = number(job, "id");
    const struct json *first = NULL, *last = NULL; /* by claims: a clock may be set back */
    const struct json *video = row_by_number(evidence, "videos", "id", number(job, "video_id"));
    int count = 0;
    EACH_ROW(evidence, row, "completions")
    {
        if (number(row, "job_id") != id)
            continue;
        count++;
        if (!first || number(row, "claim_epoch") < number(first, "claim_epoch"))
            first = row;
        if (!last || number(row, "claim_epoch") > number(last, "claim_epoch"))
            last = row;
    }
    if (count > 1 + orders(evidence, "retranscode", id))
        complain(evidence, "P2", "job %lld: %d completions", whole(id), count);
    if (count > 0 && time_us(video, "published_at") != time_us(first, "committed_at"))
        complain(evidence, "P2", "job %lld: published at %s, not at its first completion",
                 whole(id), text(video, "published_at"));
    if (count > 0 && strcmp(text(video, "status"), "ready") == 0 && time_us(job, "completed_at") &&
        time_us(job, "completed_at") != time_us(last, "committed_at"))
        complain(evidence, "P2", "job %lld: completed at %s, not at its last completion", whole(id),
                 text(job, "completed_at"));
}

void check_acknowledgements(struct evidence *evidence)
{
    EACH_LINE(evidence, call, "call", "complete")
    {
        check_recovery(evidence, call);
        if (!is_acknowledgement(call))
            continue;
        check_acknowledgement(evidence, call);
        if (!flag(json_get(call, "answer"), "replayed"))
            check_one_effect(evidence, call);
    }
    check_unique(evidence, "completions", "job_id", "claim_epoch");
    check_unique(evidence, "completions", "job_id", "token");
    check_unique(evidence, "video_qualities", "video_id", "quality");
    EACH_ROW(evidence, job, "transcoding_jobs")
    check_effects(evidence, job);
}

/* ---- P4, P5, P6 ------------------------------------------------------------------------------ */

/* An upload names the video, every other call the job. 0: a video that is gone. */
static int64_t job_of(const struct evidence *evidence, const struct json *call)
{
    int64_t id = number(call, "job");
    return strcmp(text(call, "what"), "upload") == 0
               ? number(row_by_number(evidence, "transcoding_jobs", "video_id", id), "id")
               : id;
}

/* Somebody had heard of a later claim before this call was made. */
static bool is_superseded(const struct evidence *evidence, const struct json *call)
{
    int64_t job = job_of(evidence, call);
    EACH_LINE(evidence, claim, "call", "claim")
    if (number(json_get(claim, "answer"), "job_id") == job &&
        number(json_get(claim, "answer"), "claim_epoch") > number(call, "epoch") &&
        number(claim, "answered_us") < number(call, "asked_us"))
        return true;
    return false;
}

static void check_superseded(struct evidence *evidence, const char *what)
{
    EACH_LINE(evidence, call, "call", what)
    if (number(call, "epoch") > 0 && number(call, "status") / 100 == 2 &&
        is_superseded(evidence, call))
        complain(evidence, "P4", "job %lld: %s of claim %lld was accepted after a later claim",
                 whole(job_of(evidence, call)), what, whole(number(call, "epoch")));
}

static void check_one_holder(struct evidence *evidence, const struct json *claim)
{
    const struct json *answer = json_get(claim, "answer");
    const struct json *first = claim_of(evidence, number(answer, "job_id"),
                                        number(answer, "claim_epoch"));
    if (number(answer, "job_id") > 0 && first != claim)
        complain(evidence, "P4", "job %lld: claim %lld was granted twice",
                 whole(number(answer, "job_id")), whole(number(answer, "claim_epoch")));
}

/* One token for each claim, and one claim for each token. */
static void check_tokens(struct evidence *evidence, const struct json *call)
{
    for (const struct json *other = line_after(call, "call", "complete"); other;
         other = line_after(other, "call", "complete")) {
        bool same_claim = number(call, "job") == number(other, "job") &&
                          number(call, "epoch") == number(other, "epoch");
        bool same_token = strcmp(text(call, "token"), text(other, "token")) == 0;
        if (same_claim != same_token && !flag(call, "forged") && !flag(other, "forged"))
            complain(evidence, "P2", "job %lld: claim %lld came with tokens %s and %s",
                     whole(number(call, "job")), whole(number(call, "epoch")), text(call, "token"),
                     text(other, "token"));
    }
}

static bool has_failed(const struct evidence *evidence, int64_t job)
{
    return row_by_number(evidence, "failures", "job_id", job) != NULL;
}

/* A refusal that ends a claim must have a reason that somebody else left behind. */
static void check_refusal(struct evidence *evidence, const struct json *call)
{
    const char *code = text(json_get(call, "answer"), "code");
    int64_t job = number(call, "job");
    bool is_explained = true;
    if (is_deleted(evidence, job) || !*code)
        return;
    if (strcmp(code, "claim_lost") == 0)
        is_explained = last_epoch(evidence, job) > number(call, "epoch") ||
                       orders(evidence, "retry", job) > 0 ||
                       orders(evidence, "retranscode", job) > 0 || has_failed(evidence, job);
    else if (strcmp(code, "job_gone") == 0)
        is_explained = orders(evidence, "cancel", job) > 0 || has_failed(evidence, job);
    else if (strcmp(code, "server_full") == 0)
        is_explained = faults_done(evidence, "full-server-disk") > 0;
    else if (strcmp(code, "unauthorized") != 0 && strcmp(code, "output_missing") != 0)
        is_explained = number(call, "status") == 503;
    if (!is_explained)
        complain(evidence, "P5", "job %lld: the completion of claim %lld was refused (%s)",
                 whole(job), whole(number(call, "epoch")), code);
}

static void check_absorbing(struct evidence *evidence, const struct json *row)
{
    int64_t job = number(row, "job_id"), epoch = number(row, "claim_epoch");
    if (orders(evidence, "retranscode", job) > 0 || is_deleted(evidence, job))
        return;
    if (last_epoch(evidence, job) > epoch)
        complain(evidence, "P6", "job %lld: claimed again after the completion of claim %lld",
                 whole(job), whole(epoch));
    const struct json *job_row = row_by_number(evidence, "transcoding_jobs", "id", job);
    const struct json *video = row_by_number(evidence, "videos", "id", number(job_row, "video_id"));
    if (!time_us(job_row, "completed_at") || strcmp(text(video, "status"), "ready") != 0)
        complain(evidence, "P6", "job %lld: completed, and then %s", whole(job),
                 text(video, "status"));
    EACH_LINE(evidence, call, "call", "fail")
    if (number(call, "job") == job && number(call, "status") == 200 &&
        real_us(evidence, row, "committed_at") != 0 &&
        number(call, "asked_us") > real_us(evidence, row, "committed_at") &&
        flag(json_get(call, "answer"), "will_retry"))
        complain(evidence, "P6", "job %lld: a failure counted after the completion", whole(job));
}

static void check_worker(struct evidence *evidence, const struct json *row)
{
    char name[32] = "";
    const struct json *claim = claim_of(evidence, number(row, "job_id"),
                                        number(row, "claim_epoch"));
    EACH_ROW(evidence, worker, "workers")
    if (strcmp(text(worker, "worker_id"), text(row, "worker_id")) == 0)
        snprintf(name, sizeof name, "%s", text(worker, "worker_name"));
    if (claim && strtol(name + strcspn(name, "0123456789"), NULL, 10) != number(claim, "node"))
        complain(evidence, "P4", "job %lld: node %lld held claim %lld, %s completed it",
                 whole(number(row, "job_id")), whole(number(claim, "node")),
                 whole(number(row, "claim_epoch")), name);
}

void check_claims(struct evidence *evidence)
{
    static const char *const writers[] = {"complete", "progress", "upload"};
    for (size_t i = 0; i < sizeof writers / sizeof *writers; i++)
        check_superseded(evidence, writers[i]);
    EACH_LINE(evidence, claim, "call", "claim")
    check_one_holder(evidence, claim);
    EACH_LINE(evidence, call, "call", "complete")
    {
        check_tokens(evidence, call);
        check_refusal(evidence, call);
    }
    EACH_ROW(evidence, row, "completions")
    {
        check_absorbing(evidence, row);
        check_worker(evidence, row);
    }
}

/* ---- P9 -------------------------------------------------------------------------------------- */

static bool is_named(const struct json *heartbeat, int64_t job)
{
    int64_t named;
    for (const struct json *item = json_first(json_get(heartbeat, "jobs")); item;
         item = json_next(item))
        if (json_int(item, 0, INT64_MAX, &named) == JSON_FOUND && named == job)
            return true;
    return false;
}

/* The node was heard, and all that it said lately names the job. What was on its way then may have
 * arrived or not, so it must name it too. */
static bool is_live(const struct evidence *evidence, int64_t node, int64_t job, int64_t at_us)
{
    int64_t offline_us = number(first_line(evidence, "start", NULL), "offline_ms") * 1000;
    const struct json *last = NULL;
    EACH_LINE(evidence, call, "call", "heartbeat")
    if (number(call, "node") == node && number(call, "status") == 200 &&
        number(call, "answered_us") <= at_us &&
        (!last || number(call, "asked_us") > number(last, "asked_us")))
        last = call;
    if (!last || number(last, "asked_us") < at_us - offline_us + SLACK_US || !is_named(last, job))
        return false;
    EACH_LINE(evidence, call, "call", "heartbeat")
    if (number(call, "node") == node && number(call, "asked_us") <= at_us &&
        number(call, "answered_us") >= number(last, "asked_us") && !is_named(call, job))
        return false;
    return true;
}

/* Progress does, and an upload; the question whether all of it has arrived does not. */
static bool extends(const struct json *call)
{
    bool is_question = json_get(json_get(call, "answer"), "complete") != NULL;
    return strcmp(text(call, "what"), "progress") == 0 ||
           (strcmp(text(call, "what"), "upload") == 0 && !is_question);
}

/* When the claim was last extended for certain. */
static int64_t extended_us(const struct evidence *evidence, const struct json *claim, int64_t at_us)
{
    const struct json *answer = json_get(claim, "answer");
    int64_t last_us = number(claim, "asked_us");
    EACH_LINE(evidence, call, "call", NULL)
    if (job_of(evidence, call) == number(answer, "job_id") &&
        number(call, "epoch") == number(answer, "claim_epoch") && number(call, "status") == 200 &&
        number(call, "asked_us") > last_us && number(call, "answered_us") < at_us && extends(call))
        last_us = number(call, "asked_us");
    return last_us;
}

static int64_t claim_duration_us(const struct evidence *evidence)
{
    return number(first_line(evidence, "start", NULL), "claim_ms") * 1000;
}

/* So long after its end a claim is over, whatever its node says. */
static int64_t long_expired_us(const struct evidence *evidence)
{
    int64_t grace_us = number(first_line(evidence, "start", NULL), "grace_ms") * 1000;
    int64_t claim_us = claim_duration_us(evidence);
    return (claim_us > grace_us ? claim_us : grace_us) * LONG_EXPIRED_DURATIONS;
}

/* How far the clock was set on, from what it was at that time or since. */
static bool is_ahead_a_little(const struct evidence *evidence, int64_t shift_ms, int64_t from_us,
                              int64_t until_us)
{
    EACH_LINE(evidence, line, "clock", NULL)
    {
        int64_t step_ms = number(line, "shift_ms") - shift_ms, at_us = number(line, "at_us");
        if (at_us > from_us && at_us < until_us && step_ms > 0 && step_ms < UNSEEN_STEP_MS)
            return true;
    }
    return false;
}

/* A clock that is set on by less than what the verifiers take for a gap looks like time that
 * passes; beside claims of minutes it would be nothing. */
static bool is_set_on(const struct evidence *evidence, int64_t from_us, int64_t until_us)
{
    int64_t shift_ms = 0;
    EACH_LINE(evidence, line, "clock", NULL)
    if (number(line, "at_us") <= from_us)
        shift_ms = number(line, "shift_ms");
    if (is_ahead_a_little(evidence, shift_ms, from_us, until_us))
        return true;
    EACH_LINE(evidence, line, "clock", NULL)
    if (number(line, "at_us") > from_us &&
        is_ahead_a_little(evidence, number(line, "shift_ms"), number(line, "at_us"), until_us))
        return true;
    return false;
}

static void check_release(struct evidence *evidence, int64_t job, int64_t epoch, int64_t at_us)
{
    const struct json *claim = claim_of(evidence, job, epoch);
    if (!claim || at_us == 0)
        return; /* its answer was lost: nobody holds it; or there is no saying when it was */
    int64_t expired_us = extended_us(evidence, claim, at_us) + claim_duration_us(evidence);
    if (is_set_on(evidence, number(claim, "asked_us"), at_us))
        return;
    if (at_us + SLACK_US < expired_us)
        complain(evidence, "P9", "job %lld: claim %lld was released before it expired", whole(job),
                 whole(epoch));
    else if (at_us < expired_us + long_expired_us(evidence) &&
             is_live(evidence, number(claim, "node"), job, at_us))
        complain(evidence, "P9", "job %lld: claim %lld was released while node %lld held it",
                 whole(job), whole(epoch), whole(number(claim, "node")));
}

/* False: no sweep says that it released the claim. */
static bool was_swept(const struct evidence *evidence, int64_t job, int64_t epoch)
{
    EACH_ROW(evidence, sweep, "sweeps")
    for (const struct json *item = json_first(json_get(sweep, "released")); item;
         item = json_next(item))
        if (number(item, "job") == job && number(item, "epoch") == epoch)
            return true;
    return false;
}

/* The node named the job all the time, without a pause in which it would have counted as silent. */
static bool was_live(const struct evidence *evidence, int64_t node, int64_t job, int64_t from_us,
                     int64_t until_us)
{
    int64_t offline_us = number(first_line(evidence, "start", NULL), "offline_ms") * 1000;
    int64_t heard_us = from_us - offline_us;
    EACH_LINE(evidence, call, "call", "heartbeat")
    {
        int64_t asked_us = number(call, "asked_us");
        if (number(call, "node") != node || number(call, "status") != 200 ||
            number(call, "answered_us") < from_us - offline_us || asked_us > until_us)
            continue;
        /* It counts when the verifier comes to it, which is between the two. */
        if (!is_named(call, job) || number(call, "answered_us") > heard_us + offline_us)
            return false;
        heard_us = asked_us;
    }
    return heard_us + offline_us > until_us + SLACK_US;
}

/* A claim after another, and nobody ordered it, reported a failure or asked for the job by name: a
 * claim has released the former one, at some time since it expired. */
static void check_taking_over(struct evidence *evidence, const struct json *claim)
{
    const struct json *answer = json_get(claim, "answer");
    int64_t job = number(answer, "job_id"), epoch = number(answer, "claim_epoch") - 1;
    int64_t until_us = number(claim, "answered_us");
    const struct json *former = claim_of(evidence, job, epoch);
    if (!former || number(former, "node") == number(claim, "node") ||
        orders(evidence, NULL, job) > 0 || has_failed(evidence, job) ||
        was_swept(evidence, job, epoch) ||
        is_set_on(evidence, number(former, "asked_us"), until_us))
        return;
    int64_t expired_us = extended_us(evidence, former, until_us) + claim_duration_us(evidence);
    if (until_us + SLACK_US < expired_us)
        complain(evidence, "P9", "job %lld: claim %lld was taken over before it expired",
                 whole(job), whole(epoch));
    else if (until_us < expired_us + long_expired_us(evidence) &&
             was_live(evidence, number(former, "node"), job, expired_us, until_us))
        complain(evidence, "P9", "job %lld: claim %lld was taken over while node %lld held it",
                 whole(job), whole(epoch), whole(number(former, "node")));
}

void check_releases(struct evidence *evidence)
{
    EACH_ROW(evidence, sweep, "sweeps")
    for (const struct json *item = json_first(json_get(sweep, "released")); item;
         item = json_next(item))
        check_release(evidence, number(item, "job"), number(item, "epoch"),
                      real_us(evidence, sweep, "swept_at"));
    EACH_LINE(evidence, claim, "call", "claim")
    check_taking_over(evidence, claim);
}
