/* The promises beside a stock vlog server, as workers see them: every call goes to nginx as it is
 * shipped, claims come from a double of the stock server, on the same tables (beside.h). The double
 * would break most of these promises: nothing that ends a claim may ever reach it. */
#include "base/clock.h"
#include "base/crash.h"
#include "beside.h"
#include "gated.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "postgres.h"
#include "redis.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CROWD = 24, PROMISED_MS = 30 * 1000, DEATH_MS = 20 * 1000 };

#define STATE                                                                                      \
    "SELECT v.status || ' attempt ' || j.attempt_number || ' completed ' ||"                       \
    " (j.completed_at IS NOT NULL) || ' worker ' || COALESCE(w.worker_name, 'none') ||"            \
    " ' completions ' || (SELECT COUNT(*) FROM completions) || ' qualities ' ||"                   \
    " (SELECT COUNT(*) FROM video_qualities) FROM videos v JOIN transcoding_jobs j"                \
    " ON j.video_id = v.id LEFT JOIN workers w ON w.worker_id = j.worker_id"
#define DONE_BY_ANNA "ready attempt 1 completed true worker anna completions 1 qualities 1"
#define HELD_BY_ANNA "processing attempt 1 completed false worker anna completions 0 qualities 0"

/* A stock worker makes a token per call; ours keeps one. */
struct job {
    struct beside beside;
    struct worker *worker; /* anna, who has claimed it */
    char token[128];
};

static void claim_it(struct job *job)
{
    job->worker = &job->beside.worker;
    beside_add_job(&job->beside, "film");
    cr_assert(worker_claim(job->worker));
    worker_token(job->worker, job->token);
}

static void begin(struct job *job)
{
    *job = (struct job){.beside = beside_with_stock()};
    claim_it(job);
}

static void expect_state(const struct beside *beside, const char *wanted)
{
    TEXT(state) = beside_ask(beside, STATE);
    cr_expect_str_eq(state, wanted);
}

static void end(struct job *job)
{
    static const char *const ours[] = {"* *complete*", "* */fail*"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        cr_expect_eq(peer_count(job->beside.stock, ours[i]), 0, "%s", ours[i]);
    beside_end(&job->beside);
}

static struct reply call(const struct worker *worker, const char *what, const char *body)
{
    TEXT(path) = must_printf("/api/worker/%lld/%s", (long long)worker->job, what);
    return worker_call(worker, path, body, NULL);
}

static struct reply fail(const struct worker *worker, bool retry)
{
    return call(worker, "fail",
                retry ? "{\"error_message\":\"it broke\"}"
                      : "{\"error_message\":\"it broke\",\"retry\":false}");
}

static void stock_does(const struct job *job, const char *what)
{
    free(beside_ask(&job->beside, "SELECT stock_%s(%lld)", what, (long long)job->worker->job));
}

static void expect_verified(const struct worker *worker, bool yes)
{
    REPLY(reply) = call(worker, "verify-complete", NULL);
    reply_is(&reply, 200, NULL);
    cr_expect_eq(reply_bool(&reply, "job_completed"), yes, "%s", reply.body);
    cr_expect_eq(reply_bool(&reply, "all_files_present"), yes, "%s", reply.body);
}

Test(beside_promises, p1_who_holds_it_commits_and_the_same_again_is_a_replay, .timeout = 120)
{
    struct job job;
    begin(&job);
    expect_verified(job.worker, false);
    for (int i = 0; i < 3; i++) {
        REPLY(reply) = worker_complete(job.worker, job.token);
        reply_is(&reply, 200, NULL);
        cr_expect_str_eq(reply_text(&reply, "token"), job.token);
        cr_expect_eq(reply_bool(&reply, "replayed"), i > 0);
        expect_state(&job.beside, DONE_BY_ANNA);
    }
    expect_verified(job.worker, true);
    end(&job);
}

Test(beside_promises, p1_a_row_that_somebody_else_holds_is_no_acknowledgment, .timeout = 120)
{
    struct job job;
    begin(&job);
    struct pg_conn *holder = postgres_enter(job.beside.url,
                                            "BEGIN; SELECT id FROM transcoding_jobs FOR UPDATE");
    REPLY(busy) = worker_complete(job.worker, job.token);
    reply_is(&busy, 503, "completion_in_progress");
    REPLY(failing) = fail(job.worker, true);
    reply_is(&failing, 503, NULL);
    expect_state(&job.beside, HELD_BY_ANNA);
    postgres_leave(holder);
    REPLY(done) = worker_complete(job.worker, job.token);
    reply_is(&done, 200, NULL);
    expect_state(&job.beside, DONE_BY_ANNA);
    end(&job);
}

Test(beside_promises, p1_output_that_is_not_there_is_named, .timeout = 120)
{
    struct job job;
    begin(&job);
    TEXT(segment) = rig_path(job.beside.rig, "videos/film/360p/stream.m3u8");
    TEXT(text) = file_read(segment);
    file_write(segment, "#EXTM3U\n", 0600);
    REPLY(missing) = worker_complete(job.worker, job.token);
    reply_is(&missing, 422, "output_missing");
    expect_state(&job.beside, HELD_BY_ANNA);
    file_write(segment, text, 0600);
    REPLY(done) = worker_complete(job.worker, job.token);
    reply_is(&done, 200, NULL);
    end(&job);
}

Test(beside_promises, p1_what_is_malformed_or_another_s_token_is_refused, .timeout = 120)
{
    struct job job;
    begin(&job);
    static const struct {
        const char *token;
        const char *code;
    } cases[] = {{"1", "token_malformed"},
                 {"9-0b9bd1d4-5c4e-4b1d-9a39-0a4b8a0a8f11", "token_mismatch"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        REPLY(reply) = worker_complete(job.worker, cases[i].token);
        reply_is(&reply, 422, cases[i].code);
    }
    REPLY(none) = call(job.worker, "complete", "{");
    reply_is(&none, 400, "bad_json");
    REPLY(nothing) = call(job.worker, "fail", "{}");
    reply_is(&nothing, 422, "invalid_field");
    expect_state(&job.beside, HELD_BY_ANNA);
    REPLY(done) = worker_complete(job.worker, job.token);
    reply_is(&done, 200, NULL);
    TEXT(other) = worker_completion(
        job.token, "[{\"name\":\"360p\",\"width\":640,\"height\":360,\"bitrate\":601}]");
    REPLY(reused) = call(job.worker, "complete", other);
    reply_is(&reused, 422, "token_reused");
    expect_state(&job.beside, DONE_BY_ANNA);
    end(&job);
}

struct caller {
    const struct worker *worker;
    pthread_barrier_t *start;
    char token[128];
    long status;
    bool replayed;
};

static void *call_once(void *ctx)
{
    struct caller *caller = ctx;
    pthread_barrier_wait(caller->start);
    REPLY(reply) = worker_complete(caller->worker, caller->token);
    caller->status = reply.status;
    caller->replayed = reply_bool(&reply, "replayed");
    return NULL;
}

/* Half of them say the same token, the others each their own. */
static void call_all_at_once(const struct job *job, struct caller callers[CROWD])
{
    pthread_t threads[CROWD];
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, CROWD);
    for (int i = 0; i < CROWD; i++) {
        callers[i] = (struct caller){.worker = job->worker, .start = &start};
        worker_token(job->worker, callers[i].token);
        if (i % 2 == 0)
            memcpy(callers[i].token, job->token, sizeof job->token);
        cr_assert_eq(pthread_create(&threads[i], NULL, call_once, &callers[i]), 0);
    }
    for (int i = 0; i < CROWD; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&start);
}

Test(beside_promises, p2_a_crowd_has_one_effect, .timeout = 120)
{
    struct job job;
    struct caller callers[CROWD];
    int committed = 0;
    begin(&job);
    call_all_at_once(&job, callers);
    for (int i = 0; i < CROWD; i++) {

        cr_expect(callers[i].status == 200 || callers[i].status == 503, "%d: %ld", i,
                  callers[i].status);
        committed += callers[i].status == 200 && !callers[i].replayed;
    }
    cr_expect_eq(committed, 1);
    expect_state(&job.beside, DONE_BY_ANNA);
    end(&job);
}

/* Between the worker and nginx: what the verifier says of a completion gets lost. */
static void lose_answers(struct job *job, const char *script)
{
    struct peer *peer = rig_put_peer_between(job->beside.rig);
    peer_set_upstream(peer, job->beside.nginx.port);
    peer_script(peer, "POST *complete", script);
    job->beside.rig->front = peer_port(peer);
}

Test(beside_promises, p3_the_token_whose_answer_was_lost_is_acknowledged, .timeout = 120)
{
    struct job job;
    begin(&job);
    lose_answers(&job, "lost; lost; pass");
    for (int i = 0; i < 2; i++) {
        REPLY(lost) = worker_complete(job.worker, job.token);
        cr_expect_eq(lost.status, 0);
    }
    REPLY(reply) = worker_complete(job.worker, job.token);
    reply_is(&reply, 200, NULL);
    cr_expect(reply_bool(&reply, "replayed"));
    expect_state(&job.beside, DONE_BY_ANNA);
    end(&job);
}

/* What a stock worker does: a token per try, and then it reports that the job has failed. */
Test(beside_promises, p6_the_failure_after_lost_answers_leaves_the_completed_job_alone,
     .timeout = 120)
{
    struct job job;
    begin(&job);
    lose_answers(&job, "lost; lost; lost");
    for (int i = 0; i < 3; i++) {
        char token[128];
        worker_token(job.worker, token);
        REPLY(lost) = worker_complete(job.worker, token);
        cr_expect_eq(lost.status, 0);
    }
    expect_state(&job.beside, DONE_BY_ANNA);
    for (int retry = 0; retry < 2; retry++) {
        REPLY(failed) = fail(job.worker, retry);
        reply_is(&failed, 200, NULL);
        cr_expect(reply_has(&failed, "will_retry") && !reply_bool(&failed, "will_retry"), "%s",
                  failed.body);
        expect_state(&job.beside, DONE_BY_ANNA);
    }
    expect_verified(job.worker, true);
    end(&job);
}

Test(beside_promises, p6_nothing_changes_a_completed_job, .timeout = 120)
{
    struct job job;
    begin(&job);
    REPLY(done) = worker_complete(job.worker, job.token);
    reply_is(&done, 200, NULL);
    TEXT(before) = beside_ask(&job.beside,
                              "SELECT (j.*)::text || (v.*)::text FROM"
                              " transcoding_jobs j JOIN videos v ON v.id = j.video_id");
    struct worker bert = beside_add_worker(&job.beside, "bert");
    bert.job = job.worker->job;
    REPLY(other) = fail(&bert, false);
    cr_expect(other.status == 403 || other.status == 409, "%ld %s", other.status, other.body);
    REPLY(failed) = fail(job.worker, false);
    reply_is(&failed, 200, NULL);
    char token[128];
    worker_token(job.worker, token);
    REPLY(second) = worker_complete(job.worker, token);
    reply_is(&second, 200, NULL);
    cr_expect(reply_bool(&second, "replayed"));
    REPLY(claim) = worker_try_claim(&bert, bert.job);
    cr_expect_eq(bert.job, 0, "%s", claim.body);
    TEXT(after) = beside_ask(&job.beside, "SELECT (j.*)::text || (v.*)::text FROM"
                                          " transcoding_jobs j JOIN videos v ON v.id = j.video_id");
    cr_expect_str_eq(after, before);
    end(&job);
}

Test(beside_promises, p4_who_was_superseded_is_refused_and_the_new_holder_notices_nothing,
     .timeout = 120)
{
    struct job job;
    char token[128];
    begin(&job);
    struct worker bert = beside_add_worker(&job.beside, "bert");
    stock_does(&job, "expire");
    cr_assert(worker_claim(&bert));
    cr_assert_eq(bert.job, job.worker->job);
    TEXT(before) = beside_ask(&job.beside,
                              "SELECT (j.*)::text || (v.*)::text FROM"
                              " transcoding_jobs j JOIN videos v ON v.id = j.video_id");
    REPLY(completion) = worker_complete(job.worker, job.token);
    reply_is(&completion, 409, "claim_lost");
    REPLY(failed) = fail(job.worker, false);
    reply_is(&failed, 409, "claim_lost");
    REPLY(progress) = call(job.worker, "progress", "{\"progress_percent\":1}");
    cr_expect_eq(progress.status, 403, "which the stock server says");
    REPLY(verify) = call(job.worker, "verify-complete", NULL);
    reply_is(&verify, 409, "claim_lost");
    TEXT(after) = beside_ask(&job.beside, "SELECT (j.*)::text || (v.*)::text FROM"
                                          " transcoding_jobs j JOIN videos v ON v.id = j.video_id");
    cr_expect_str_eq(after, before);
    worker_token(&bert, token);
    REPLY(done) = worker_complete(&bert, token);
    reply_is(&done, 200, NULL);
    REPLY(again) = worker_complete(job.worker, job.token);
    reply_is(&again, 409, "claim_lost");
    expect_state(&job.beside, "ready attempt 1 completed true worker bert completions 1"
                              " qualities 1");
    end(&job);
}

Test(beside_promises, p5_late_is_not_lost, .timeout = 120)
{
    struct job job;
    begin(&job);
    stock_does(&job, "expire");
    stock_does(&job, "release");
    REPLY(reply) = worker_complete(job.worker, job.token);
    reply_is(&reply, 200, NULL);
    cr_expect(reply_bool(&reply, "late"));
    expect_state(&job.beside, DONE_BY_ANNA);
    end(&job);
}

Test(beside_promises, a_failure_is_charged_once_however_often_it_is_told, .timeout = 120)
{
    struct job job;
    begin(&job);
    REPLY(half) = call(job.worker, "progress", "{\"progress_percent\":50}");
    reply_is(&half, 200, NULL);
    for (int i = 0; i < 3; i++) {
        REPLY(failed) = fail(job.worker, true);
        reply_is(&failed, 200, NULL);
        cr_expect(reply_bool(&failed, "will_retry"));
        expect_state(&job.beside, "pending attempt 2 completed false worker none completions 0"
                                  " qualities 0");
    }
    /* The stock server gives it to the same worker again: another claim, another failure. */
    for (int attempt = 2; attempt <= 3; attempt++) {
        cr_assert(worker_claim(job.worker));
        REPLY(failed) = fail(job.worker, true);
        reply_is(&failed, 200, NULL);
        cr_expect_eq(reply_bool(&failed, "will_retry"), attempt == 2);
        REPLY(again) = fail(job.worker, true);
        reply_is(&again, 200, NULL);
        cr_expect_eq(reply_bool(&again, "will_retry"), attempt == 2);
    }
    expect_state(&job.beside, "failed attempt 3 completed true worker anna completions 0"
                              " qualities 0");
    REPLY(gone) = worker_complete(job.worker, job.token);
    reply_is(&gone, 410, "job_gone");
    cr_expect_eq(worker_claim(job.worker), false);
    end(&job);
}

Test(beside_promises, a_failure_that_is_final_is_final, .timeout = 120)
{
    struct job job;
    begin(&job);
    REPLY(failed) = fail(job.worker, false);
    reply_is(&failed, 200, NULL);
    cr_expect_not(reply_bool(&failed, "will_retry"));
    expect_state(&job.beside, "failed attempt 1 completed true worker anna completions 0"
                              " qualities 0");
    /* An operator's "retry" at the stock server leaves the row closed: no completion, still. */
    stock_does(&job, "retry");
    REPLY(gone) = worker_complete(job.worker, job.token);
    reply_is(&gone, 410, "job_gone");
    REPLY(verify) = call(job.worker, "verify-complete", NULL);
    reply_is(&verify, 410, "job_gone");
    end(&job);
}

Test(beside_promises, finished_work_is_taken_after_a_failure_was_told, .timeout = 120)
{
    struct job job;
    begin(&job);
    REPLY(failed) = fail(job.worker, true);
    reply_is(&failed, 200, NULL);
    REPLY(done) = worker_complete(job.worker, job.token);
    reply_is(&done, 200, NULL);
    expect_state(&job.beside, "ready attempt 2 completed true worker anna completions 1"
                              " qualities 1");
    end(&job);
}

Test(beside_promises, what_is_gone_or_never_was_is_told_apart, .timeout = 120)
{
    struct job job;
    begin(&job);
    free(beside_ask(&job.beside, "UPDATE videos SET deleted_at = clock_timestamp()"));
    REPLY(deleted) = worker_complete(job.worker, job.token);
    reply_is(&deleted, 410, "job_gone");
    REPLY(failed) = fail(job.worker, true);
    reply_is(&failed, 410, "job_gone");
    struct worker lost = *job.worker;
    lost.job = 4711;
    REPLY(none) = worker_complete(&lost, NULL);
    reply_is(&none, 404, "job_not_found");
    REPLY(no_failure) = fail(&lost, true);
    reply_is(&no_failure, 404, "job_not_found");
    REPLY(no_proof) = call(&lost, "verify-complete", NULL);
    reply_is(&no_proof, 404, "job_not_found");
    snprintf(lost.key, sizeof lost.key, "%s", "nobody-has-this-key");
    REPLY(stranger) = fail(&lost, true);
    reply_is(&stranger, 401, "unauthorized");
    end(&job);
}

static void crash_at(struct job *job, enum crash_point point)
{
    struct rig *rig = job->beside.rig;
    TEXT(flag) = rig_path(rig, "crash.flag");
    TEXT(variable) = must_printf("%d:%s", point, flag);
    file_write(flag, "", 0600);
    rig_set_env(rig, "TAILSLATE_CRASH", variable);
    cr_assert_eq(rig_stop_verifier(rig), 0);
    rig_start_verifier(rig);
    REPLY(dying) = worker_complete(job->worker, job->token);
    cr_expect_eq(dying.status, 502, "%ld %s", dying.status, dying.body);
    cr_expect_eq(process_wait(rig->verifier, DEATH_MS), 128 + SIGKILL);
    process_free(rig->verifier);
    rig->verifier = NULL;
    rig_start_verifier(rig);
}

Test(beside_promises, p7_after_a_crash_the_same_token_succeeds_at_once, .timeout = 180)
{
    static const enum crash_point points[] = {CRASH_VERIFIER_IN_TRANSACTION,
                                              CRASH_VERIFIER_COMMITTED, CRASH_VERIFIER_ANSWERING};
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        struct job job;
        begin(&job);
        crash_at(&job, points[i]);
        int64_t began_ms = mono_ms();
        REPLY(reply) = worker_complete(job.worker, job.token);
        reply_is(&reply, 200, NULL);
        cr_expect_lt(mono_ms() - began_ms, PROMISED_MS);
        cr_expect_eq(reply_bool(&reply, "replayed"), i > 0, "%s", reply.body);
        expect_state(&job.beside, DONE_BY_ANNA);
        end(&job);
    }
}

static void expect_soon(struct job *job, const struct redis *redis, const char *forged)
{
    TEXT(key) = gated_key_name(job->worker->job, job->token);
    if (forged)
        redis_expect(redis, "OK", "SET", key, forged, NULL);
    REPLY(reply) = worker_complete(job->worker, job->token);
    reply_is(&reply, 200, NULL);
    cr_expect_not(reply_bool(&reply, "replayed"), "it was not committed before");
    cr_expect_lt(reply.took_ms, PROMISED_MS);
    expect_state(&job->beside, DONE_BY_ANNA);
}

/* "completed" is what a stock server writes, and what it would believe. */
Test(beside_promises, p8_redis_may_be_forged_hang_or_be_gone, .timeout = 180)
{
    static const char *const forged[] = {"completed", NULL, NULL};
    for (size_t i = 0; i < sizeof forged / sizeof forged[0]; i++) {
        struct redis *redis = redis_start(NULL);
        struct job job = {.beside = beside_new_stock()};
        TEXT(url) = redis_url(redis);
        TEXT(value) = must_printf("\"%s\"", url);
        rig_verifier_set(job.beside.rig, "redis.url", value);
        beside_start_stock(&job.beside);
        claim_it(&job);
        if (i == 1)
            redis_hang(redis);
        else if (i == 2)
            redis_kill(redis);
        expect_soon(&job, redis, forged[i]);
        end(&job);
        if (i == 1)
            redis_wake(redis);
        redis_stop(redis);
    }
}
