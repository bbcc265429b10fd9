/* Redis may be there or not, may hang and may lie: completions have one effect and true answers,
 * and it costs latency only. */
#include "base/clock.h"
#include "gated.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"

#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <pthread.h>
#include <string.h>

enum {
    SEQUENTIAL = 50,
    PARALLEL = 20,
    BUDGET_MS = 200,
    WAIT_MS = 1000,
    BUSY_MS = 3000, /* on top, with sanitizers on a busy machine */
};

#define OTHERS "processing:3f1d2c4b-5a69-4788-8796-a5b4c3d2e1f0"

static void expect_commit(const struct reply *reply)
{
    reply_is(reply, 200, NULL);
    cr_assert(reply_has(reply, "replayed") && !reply_bool(reply, "replayed"), "%s", reply->body);
}

static void complete_once(const struct scene *scene)
{
    REPLY(first) = worker_complete(&scene->worker, scene->token);
    expect_commit(&first);
    REPLY(again) = worker_complete(&scene->worker, scene->token);
    reply_is(&again, 200, NULL);
    cr_assert(reply_bool(&again, "replayed"));
    inspect_job_completed_once(scene->rig, scene->job);
}

/* A job that is ready to be completed, through a gate that is used. */
static struct scene in_use(struct redis **redis)
{
    *redis = redis_start(NULL);
    struct scene scene = gated_scene(gated_rig(*redis));
    gated_wait_state(scene.rig, GATED_CLOSED);
    return scene;
}

static void end(struct redis *redis, struct rig *rig)
{
    rig_end(rig);
    redis_stop(redis);
}

static void expect_redis_in_health(const struct rig *rig, const char *status)
{
    TEXT(url) = must_printf("http://127.0.0.1:%d/api/health", rig->port);
    REPLY(reply) = call_make(&(struct call){.url = url});
    reply_is(&reply, 200, NULL);
    const char *said = "";
    json_get_text(json_get(json_get(reply.json, "checks"), "redis"), "status", 16, &said);
    cr_assert(strcmp(said, status) == 0, "%s", reply.body);
}

Test(gate, a_completion_goes_through_it_and_its_replay_does_not)
{
    struct redis *redis;
    struct scene scene = in_use(&redis);
    expect_redis_in_health(scene.rig, "ok");
    complete_once(&scene);
    TEXT(held) = gated_key(redis, scene.job, scene.token);
    cr_assert_str_eq(held, "completed");
    cr_assert_eq(gated_count(scene.rig, "entered"), 1);
    cr_assert_eq(gated_count(scene.rig, "failed"), 0);
    end(redis, scene.rig);
}

Test(gate, what_is_refused_leaves_nothing_behind)
{
    struct redis *redis;
    struct scene scene = in_use(&redis);
    TEXT(playlist) = rig_path(scene.rig, "videos/film/360p/stream.m3u8");
    TEXT(away) = rig_path(scene.rig, "stream.m3u8");
    cr_assert(rename(playlist, away) == 0);
    REPLY(refused) = worker_complete(&scene.worker, scene.token);
    reply_is(&refused, 422, "output_missing");
    cr_assert_eq(gated_count(scene.rig, "entered"), 1);
    redis_expect(redis, "0", "DBSIZE", NULL);
    cr_assert(rename(away, playlist) == 0);
    complete_once(&scene);
    end(redis, scene.rig);
}

Test(gate, who_is_refused_at_the_first_read_never_enters)
{
    struct redis *redis;
    struct scene scene = in_use(&redis);
    scene.worker.epoch--;
    REPLY(refused) = worker_complete(&scene.worker, scene.token);
    reply_is(&refused, 409, "claim_lost");
    cr_expect_eq(gated_count(scene.rig, "entered"), 0);
    redis_expect(redis, "0", "DBSIZE", NULL);
    scene.worker.epoch++;
    complete_once(&scene);
    end(redis, scene.rig);
}

Test(gate, a_completion_without_a_token_has_none)
{
    struct redis *redis;
    struct scene scene = in_use(&redis);
    REPLY(reply) = worker_complete(&scene.worker, NULL);
    expect_commit(&reply);
    redis_expect(redis, "0", "DBSIZE", NULL);
    end(redis, scene.rig);
}

static void complete_through(const struct redis *redis, const struct worker *worker)
{
    char token[128];
    worker_token(worker, token);
    REPLY(reply) = worker_complete(worker, token);
    expect_commit(&reply);
    TEXT(held) = gated_key(redis, worker->job, token);
    cr_assert_str_eq(held, "completed");
}

Test(gate, down_at_the_start_it_costs_nothing_and_is_used_when_it_comes)
{
    struct redis *redis = redis_new(NULL);
    struct scene scene = gated_scene(gated_rig(redis));
    struct worker more[1];
    gated_wait_state(scene.rig, GATED_OPEN);
    expect_redis_in_health(scene.rig, "down");
    complete_once(&scene);
    cr_assert_geq(gated_count(scene.rig, "skipped_open"), 1);
    redis_up(redis);
    gated_wait_state(scene.rig, GATED_CLOSED);
    gated_more(&scene, more, 1);
    complete_through(redis, &more[0]);
    end(redis, scene.rig);
}

Test(gate, killed_and_replaced_by_an_empty_one_it_is_used_again)
{
    struct redis *redis;
    struct scene scene = in_use(&redis);
    struct worker more[2];
    char token[128];
    gated_more(&scene, more, 2);
    complete_once(&scene);
    redis_kill(redis);
    worker_token(&more[0], token);
    REPLY(without) = worker_complete(&more[0], token);
    expect_commit(&without);
    redis_up(redis);
    gated_wait_state(scene.rig, GATED_CLOSED);
    complete_through(redis, &more[1]);
    cr_assert_eq(gated_count(scene.rig, "entered"), 2);
    inspect_job_completed_once(scene.rig, scene.job);
    end(redis, scene.rig);
}

Test(gate, hung_it_costs_one_of_fifty_completions_its_budget)
{
    struct redis *redis;
    struct scene scene = in_use(&redis);
    struct worker more[SEQUENTIAL];
    int64_t total_ms = 0, longest_ms = 0, slow = 0;
    gated_more(&scene, more, SEQUENTIAL);
    redis_hang(redis);
    for (int i = 0; i < SEQUENTIAL; i++) {
        char token[128];
        worker_token(&more[i], token);
        REPLY(reply) = worker_complete(&more[i], token);
        expect_commit(&reply);
        total_ms += reply.took_ms;
        slow += reply.took_ms >= BUDGET_MS;
        longest_ms = reply.took_ms > longest_ms ? reply.took_ms : longest_ms;
    }
    cr_log_info("%d completions while Redis hangs: %d ms in all, the longest %d ms, %d over %d ms",
                SEQUENTIAL, (int)total_ms, (int)longest_ms, (int)slow, BUDGET_MS);
    /* At most one has asked in vain; all others knew. Without a breaker it would be all of them. */
    cr_assert_leq(gated_count(scene.rig, "failed"), 1);
    cr_assert_lt(total_ms, SEQUENTIAL * BUDGET_MS);
    cr_assert_eq(inspect_int(scene.rig, "SELECT count(*) FROM completions"), SEQUENTIAL);
    redis_wake(redis);
    gated_wait_state(scene.rig, GATED_CLOSED);
    complete_once(&scene);
    TEXT(held) = gated_key(redis, scene.job, scene.token);
    cr_assert_str_eq(held, "completed");
    end(redis, scene.rig);
}

struct caller {
    struct worker worker;
    pthread_barrier_t *start;
    char token[128];
    int64_t took_ms;
    long status;
    bool replayed, is_true;
};

static void *call_once(void *ctx)
{
    struct caller *caller = ctx;
    pthread_barrier_wait(caller->start);
    REPLY(reply) = worker_complete(&caller->worker, caller->token);
    caller->status = reply.status;
    caller->took_ms = reply.took_ms;
    caller->replayed = reply_bool(&reply, "replayed");
    caller->is_true = reply.status != 200 ||
                      inspect_int(caller->worker.rig,
                                  "SELECT count(*) FROM completions WHERE job_id=%lld",
                                  (long long)caller->worker.job) == 1;
    return NULL;
}

static void call_all_at_once(struct caller callers[], unsigned count)
{
    enum { CALLERS_MAX = 64 };
    pthread_t threads[CALLERS_MAX];
    pthread_barrier_t start;
    cr_assert(count <= CALLERS_MAX);
    pthread_barrier_init(&start, NULL, count);
    for (unsigned i = 0; i < count; i++) {
        callers[i].start = &start;
        cr_assert(pthread_create(&threads[i], NULL, call_once, &callers[i]) == 0);
    }
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&start);
}

Test(gate, hung_it_lets_no_completion_queue_behind_the_one_that_found_out)
{
    struct redis *redis;
    struct scene scene = in_use(&redis);
    struct worker more[PARALLEL];
    struct caller callers[PARALLEL] = {0};
    int64_t longest_ms = 0;
    gated_more(&scene, more, PARALLEL);
    for (int i = 0; i < PARALLEL; i++) {
        callers[i].worker = more[i];
        worker_token(&more[i], callers[i].token);
    }
    redis_hang(redis);
    call_all_at_once(callers, PARALLEL);
    for (int i = 0; i < PARALLEL; i++) {
        cr_assert(callers[i].status == 200 && !callers[i].replayed && callers[i].is_true);
        longest_ms = callers[i].took_ms > longest_ms ? callers[i].took_ms : longest_ms;
    }
    cr_log_info("%d completions at once while Redis hangs: the longest %d ms", PARALLEL,
                (int)longest_ms);
    int64_t skipped = gated_count(scene.rig, "skipped_slow") +
                      gated_count(scene.rig, "skipped_open");
    cr_assert_leq(gated_count(scene.rig, "failed"), 1);
    cr_assert_geq(skipped, PARALLEL - 1);
    /* Behind each other it would be one budget each. */
    cr_assert_lt(longest_ms, PARALLEL * BUDGET_MS);
    end(redis, scene.rig);
}

Test(gate, sixty_four_copies_at_once_have_one_effect_and_true_answers)
{
    enum { COPIES = 64 };
    struct redis *redis;
    struct scene scene = in_use(&redis);
    struct caller callers[COPIES] = {0};
    int committed = 0, acknowledged = 0;
    for (int i = 0; i < COPIES; i++) {
        callers[i].worker = scene.worker;
        memcpy(callers[i].token, scene.token, sizeof scene.token);
    }
    call_all_at_once(callers, COPIES);
    for (int i = 0; i < COPIES; i++) {
        cr_assert(callers[i].status == 200 || callers[i].status == 503, "%ld", callers[i].status);
        cr_assert(callers[i].is_true, "a false acknowledgment");
        acknowledged += callers[i].status == 200;
        committed += callers[i].status == 200 && !callers[i].replayed;
    }
    cr_assert_leq(committed, 1);
    cr_assert_geq(acknowledged, 1);
    cr_log_info("%d copies: %d answered 200, %d waited at the gate", COPIES, acknowledged,
                (int)gated_count(scene.rig, "waited"));
    inspect_job_completed_once(scene.rig, scene.job);
    end(redis, scene.rig);
}

Test(gate, a_forged_completed_acknowledges_nothing)
{
    struct redis *redis;
    struct scene scene = in_use(&redis);
    TEXT(key) = gated_key_name(scene.job, scene.token);
    TEXT(playlist) = rig_path(scene.rig, "videos/film/360p/stream.m3u8");
    TEXT(away) = rig_path(scene.rig, "stream.m3u8");
    redis_expect(redis, "OK", "SET", key, "completed", NULL);
    cr_assert(rename(playlist, away) == 0);
    REPLY(refused) = worker_complete(&scene.worker, scene.token);
    reply_is(&refused, 422, "output_missing");
    cr_assert(rename(away, playlist) == 0);
    REPLY(stranger) = worker_complete(&scene.worker, NULL);
    expect_commit(&stranger);
    inspect_job_completed_once(scene.rig, scene.job);
    cr_assert_geq(gated_count(scene.rig, "not_ours"), 1);
    end(redis, scene.rig);
}

/* How long a completion takes whose key holds what somebody else has put there. */
static int64_t complete_over(struct redis *redis, const struct scene *scene,
                             const struct worker *worker, const char *const set[2], const char *arg)
{
    char token[128];
    worker_token(worker, token);
    TEXT(key) = gated_key_name(worker->job, token);
    free(redis_ask(redis, set[0], key, set[1], arg, NULL));
    REPLY(reply) = worker_complete(worker, token);
    expect_commit(&reply);
    inspect_job_completed_once(scene->rig, worker->job);
    return reply.took_ms;
}

Test(gate, what_others_put_into_it_costs_a_second_at_most)
{
    static const struct {
        const char *set[2], *arg;
        int64_t limit_ms;
    } forged[] = {
        {{"SET", "completed"}, NULL, WAIT_MS},       {{"SET", "processing"}, NULL, WAIT_MS},
        {{"SET", "\x01garbage\xff"}, NULL, WAIT_MS}, {{"SET", "processing:" OTHERS}, NULL, WAIT_MS},
        {{"RPUSH", "list"}, NULL, WAIT_MS},          {{"SETRANGE", "10485759"}, "x", WAIT_MS},
        {{"SET", OTHERS}, NULL, WAIT_MS + BUSY_MS},
    };
    enum { FORGED = sizeof forged / sizeof forged[0] };
    struct redis *redis;
    struct scene scene = in_use(&redis);
    struct worker more[FORGED];
    gated_more(&scene, more, FORGED);
    for (size_t i = 0; i < FORGED; i++) {
        int64_t took_ms = complete_over(redis, &scene, &more[i], forged[i].set, forged[i].arg);
        cr_log_info("over %s %.20s: %d ms", forged[i].set[0], forged[i].set[1], (int)took_ms);
        cr_assert_lt(took_ms, forged[i].limit_ms, "%s: %d ms", forged[i].set[1], (int)took_ms);
    }
    cr_assert_eq(gated_count(scene.rig, "not_ours"), FORGED - 1);
    cr_assert_eq(gated_count(scene.rig, "waited"), 1);
    cr_assert_eq(gated_count(scene.rig, "failed"), 0);
    end(redis, scene.rig);
}

/* While the completion has the gate and waits for the database, something happens to Redis. */
static void happens_between(struct redis *redis, struct scene *scene,
                            void (*what)(struct redis *redis))
{
    struct caller caller = {.worker = scene->worker};
    pthread_barrier_t start;
    pthread_t thread;
    memcpy(caller.token, scene->token, sizeof scene->token);
    caller.start = &start;
    struct sqlite3 *lock = inspect_lock_database(scene->rig);
    pthread_barrier_init(&start, NULL, 1);
    cr_assert(pthread_create(&thread, NULL, call_once, &caller) == 0);
    int64_t deadline_ms = mono_ms() + BUSY_MS;
    while (gated_count(scene->rig, "entered") == 0)
        cr_assert(mono_ms() < deadline_ms, "it has not come to the gate");
    what(redis);
    inspect_unlock_database(lock);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&start);
    cr_assert(caller.status == 200 && !caller.replayed && caller.is_true, "%ld", caller.status);
    inspect_job_completed_once(scene->rig, scene->job);
}

static void flush(struct redis *redis)
{
    redis_expect(redis, "OK", "FLUSHALL", NULL);
}

static void forget_scripts(struct redis *redis)
{
    redis_expect(redis, "OK", "SCRIPT", "FLUSH", NULL);
}

Test(gate, flushed_while_it_is_held_it_stays_empty)
{
    struct redis *redis;
    struct scene scene = in_use(&redis);
    happens_between(redis, &scene, flush);
    redis_expect(redis, "0", "DBSIZE", NULL);
    end(redis, scene.rig);
}

Test(gate, without_its_scripts_it_is_given_back)
{
    struct redis *redis;
    struct scene scene = in_use(&redis);
    happens_between(redis, &scene, forget_scripts);
    TEXT(held) = gated_key(redis, scene.job, scene.token);
    cr_assert_str_eq(held, "completed");
    end(redis, scene.rig);
}

Test(gate, killed_while_it_is_held_it_changes_no_answer)
{
    struct redis *redis;
    struct scene scene = in_use(&redis);
    happens_between(redis, &scene, redis_kill);
    end(redis, scene.rig);
}

Test(gate, hung_while_it_is_held_it_changes_no_answer)
{
    struct redis *redis;
    struct scene scene = in_use(&redis);
    happens_between(redis, &scene, redis_hang);
    end(redis, scene.rig);
}

Test(gate, a_wrong_password_is_said_once_and_never_itself)
{
    static const char *const options[] = {"--requirepass", "the-right-one", NULL};
    struct redis *redis = redis_start(options);
    redis->password = "the-right-one";
    struct rig *rig = gated_rig(redis);
    TEXT(file) = rig_path(rig, "redis.secret");
    TEXT(value) = must_printf("\"%s\"", file);
    file_write(file, "the-wr0ng-one\n", 0600);
    rig_verifier_set(rig, "redis.password_file", value);
    struct scene scene = gated_scene(rig);
    gated_wait_state(rig, GATED_OPEN);
    complete_once(&scene);
    file_write(file, "the-right-one\n", 0600);
    gated_wait_state(rig, GATED_CLOSED);
    TEXT(log) = file_read(rig->verifier->log);
    cr_assert_eq(log_count(rig->verifier->log, "event=gate.lost"), 1);
    cr_assert_eq(log_count(rig->verifier->log, "event=gate.ready"), 1);
    cr_assert(strstr(log, "WRONGPASS") && !strstr(log, "wr0ng") && !strstr(log, "the-right-one"));
    end(redis, rig);
}

Test(gate, the_check_warns_of_a_redis_that_is_not_there_and_refuses_a_wrong_url)
{
    struct redis *redis = redis_new(NULL);
    struct rig *rig = gated_rig(redis);
    RUN(down) = rig_verifier(rig, (const char *[]){"check", NULL});
    cr_assert_eq(down.status, 0, "%s", down.err);
    cr_assert(strstr(down.out, "note  redis.url"), "%s", down.out);
    redis_up(redis);
    RUN(up) = rig_verifier(rig, (const char *[]){"check", NULL});
    cr_assert_eq(up.status, 0, "%s", up.err);
    cr_assert(strstr(up.out, "ok    redis.url"), "%s", up.out);
    rig_verifier_set(rig, "redis.url", "\"redis://host:port\"");
    RUN(wrong) = rig_verifier(rig, (const char *[]){"check", NULL});
    cr_assert_eq(wrong.status, 78, "%s", wrong.err);
    end(redis, rig);
}
