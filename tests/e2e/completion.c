/* The table of answers to a completion, row by row, over the wire. */
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "scene.h"

#include <criterion/criterion.h>
#include <string.h>

static int64_t completions(const struct scene *scene)
{
    return inspect_int(scene->rig, "SELECT count(*) FROM completions WHERE job_id=%lld",
                       (long long)scene->job);
}

static void is_acknowledged(const struct reply *reply, const char *message, bool replayed,
                            bool late)
{
    reply_is(reply, 200, NULL);
    cr_assert_str_eq(reply_text(reply, "status"), "ok");
    cr_assert_str_eq(reply_text(reply, "message"), message);
    cr_assert(reply_has(reply, "replayed") && reply_bool(reply, "replayed") == replayed, "%s",
              reply->body);
    cr_assert(reply_bool(reply, "late") == late, "%s", reply->body);
    char header[16];
    reply_header(reply, "Idempotent-Replayed", header, sizeof header);
    cr_assert((strcmp(header, "true") == 0) == replayed, "Idempotent-Replayed: %s", header);
}

static void is_committed(const struct reply *reply)
{
    is_acknowledged(reply, "Job completed successfully", false, false);
}

static void is_replayed(const struct reply *reply)
{
    is_acknowledged(reply, "Job already completed", true, false);
}

static struct reply complete_body(const struct scene *scene, const char *body, const char *header)
{
    TEXT(path) = must_printf("/api/worker/%lld/complete", (long long)scene->job);
    return worker_call(&scene->worker, path, body, header);
}

Test(completion, row_1_the_holder_commits)
{
    struct scene scene = scene_uploaded();
    REPLY(reply) = worker_complete(&scene.worker, scene.token);
    is_committed(&reply);
    cr_assert_str_eq(reply_text(&reply, "token"), scene.token);
    cr_assert_eq(reply_int(&reply, "job_id"), scene.job);
    cr_assert(reply_has(&reply, "completed_at"));
    inspect_job_completed_once(scene.rig, scene.job);
    cr_assert_eq(inspect_int(scene.rig, "SELECT duration*10 FROM videos"), 30);
    cr_assert_eq(inspect_int(scene.rig, "SELECT source_width FROM videos"), 640);
    cr_assert_eq(inspect_int(scene.rig, "SELECT source_height FROM videos"), 360);
    cr_assert_eq(inspect_int(scene.rig, "SELECT count(*) FROM videos WHERE streaming_format='cmaf' "
                                        "AND primary_codec='h264'"),
                 1);
    cr_assert_eq(
        inspect_int(scene.rig, "SELECT count(*) FROM workers WHERE current_job_id NOT NULL"), 0);
    rig_end(scene.rig);
}

Test(completion, row_2_the_same_again_is_a_replay)
{
    struct scene scene = scene_uploaded();
    REPLY(first) = worker_complete(&scene.worker, scene.token);
    is_committed(&first);
    for (int i = 0; i < 3; i++) {
        REPLY(again) = worker_complete(&scene.worker, scene.token);
        is_replayed(&again);
        cr_assert_str_eq(reply_text(&again, "token"), scene.token);
        cr_assert_str_eq(reply_text(&again, "completed_at"), reply_text(&first, "completed_at"));
    }
    inspect_job_completed_once(scene.rig, scene.job);
    rig_end(scene.rig);
}

Test(completion, row_2_the_form_of_the_body_and_the_case_of_the_token_do_not_matter)
{
    struct scene scene = scene_uploaded();
    REPLY(first) = worker_complete(&scene.worker, scene.token);
    is_committed(&first);
    char upper[128];
    snprintf(upper, sizeof upper, "%s", scene.token);
    for (char *at = upper; *at; at++)
        if (*at >= 'a' && *at <= 'f')
            *at = (char)(*at - 'a' + 'A');
    TEXT(body) = must_printf("{ \"completion_token\": \"%s\", \"source_height\": 360.0,\n"
                             "\"streaming_codec\":\"h264\", \"streaming_format\":\"cmaf\","
                             "\"source_width\":640,\"duration\":3,\"unknown\":[1,2],"
                             "\"qualities\":" WORKER_360P "}",
                             upper);
    REPLY(again) = complete_body(&scene, body, NULL);
    is_replayed(&again);
    rig_end(scene.rig);
}

Test(completion, row_3_the_same_token_for_something_else_is_refused)
{
    struct scene scene = scene_uploaded();
    REPLY(first) = worker_complete(&scene.worker, scene.token);
    is_committed(&first);
    TEXT(body) = worker_completion(
        scene.token, "[{\"name\":\"360p\",\"width\":640,\"height\":360,\"bitrate\":601}]");
    REPLY(other) = complete_body(&scene, body, NULL);
    reply_is(&other, 422, "token_reused");
    inspect_job_completed_once(scene.rig, scene.job);
    cr_assert_eq(inspect_int(scene.rig, "SELECT bitrate FROM video_qualities"), 600);
    rig_end(scene.rig);
}

Test(completion, row_4_another_token_or_none_of_the_same_claim_is_a_replay)
{
    struct scene scene = scene_uploaded();
    REPLY(first) = worker_complete(&scene.worker, scene.token);
    is_committed(&first);
    char other[128];
    worker_token(&scene.worker, other);
    REPLY(second) = worker_complete(&scene.worker, other);
    is_replayed(&second);
    REPLY(third) = worker_complete(&scene.worker, NULL);
    is_replayed(&third);
    cr_assert_eq(completions(&scene), 1);
    char token[128];
    inspect_text(scene.rig, token, sizeof token, "SELECT token FROM completions");
    cr_assert_str_eq(token, scene.token);
    rig_end(scene.rig);
}

Test(completion, without_a_token_it_is_accepted_once)
{
    struct scene scene = scene_uploaded();
    REPLY(first) = worker_complete(&scene.worker, NULL);
    is_committed(&first);
    REPLY(second) = worker_complete(&scene.worker, NULL);
    is_replayed(&second);
    inspect_job_completed_once(scene.rig, scene.job);
    rig_end(scene.rig);
}

Test(completion, row_5_an_expired_claim_that_nobody_took_is_still_good)
{
    struct scene scene = scene_claimed_for("0.03");
    worker_put_tree(&scene.worker);
    inspect_wait_int(scene.rig, 1, 10000,
                     "SELECT julianday(claim_expires_at) < julianday('now') FROM transcoding_jobs");
    REPLY(reply) = worker_complete(&scene.worker, scene.token);
    is_acknowledged(&reply, "Job completed successfully", false, true);
    inspect_job_completed_once(scene.rig, scene.job);
    rig_end(scene.rig);
}

Test(completion, row_5_a_released_claim_that_nobody_took_is_still_good)
{
    struct scene scene = scene_uploaded();
    RUN(run) = rig_verifier(scene.rig, (const char *[]){"job", "release", "1", NULL});
    cr_assert_eq(run.status, 0, "%s", run.err);
    REPLY(reply) = worker_complete(&scene.worker, scene.token);
    is_acknowledged(&reply, "Job completed successfully", false, true);
    inspect_job_completed_once(scene.rig, scene.job);
    rig_end(scene.rig);
}

Test(completion, row_6_a_superseded_holder_is_refused_before_and_after)
{
    struct scene scene = scene_uploaded();
    RUN(run) = rig_verifier(scene.rig, (const char *[]){"job", "release", "1", NULL});
    struct worker bob = worker_new(scene.rig, "bob");
    cr_assert(worker_claim(&bob));
    cr_assert_eq(bob.epoch, scene.worker.epoch + 1);

    REPLY(before) = worker_complete(&scene.worker, scene.token);
    reply_is(&before, 409, "claim_lost");
    cr_assert_eq(completions(&scene), 0);
    worker_put_tree(&bob);
    char token[128];
    worker_token(&bob, token);
    REPLY(bobs) = worker_complete(&bob, token);
    is_committed(&bobs);
    REPLY(after) = worker_complete(&scene.worker, scene.token);
    reply_is(&after, 409, "claim_lost");
    scene.worker.sends_epoch = false;
    REPLY(stock) = worker_complete(&scene.worker, scene.token);
    reply_is(&stock, 409, "claim_lost");
    inspect_job_completed_once(scene.rig, scene.job);
    rig_end(scene.rig);
}

Test(completion, row_6_an_older_claim_of_the_same_worker_is_refused)
{
    struct scene scene = scene_uploaded();
    RUN(run) = rig_verifier(scene.rig, (const char *[]){"job", "release", "1", NULL});
    struct worker again = scene.worker;
    cr_assert(worker_claim(&again));
    cr_assert_eq(again.epoch, scene.worker.epoch + 1);
    REPLY(old) = worker_complete(&scene.worker, scene.token);
    reply_is(&old, 409, "claim_lost");
    cr_assert_eq(completions(&scene), 0);
    worker_put_tree(&again);
    REPLY(new) = worker_complete(&again, scene.token);
    is_committed(&new);
    rig_end(scene.rig);
}

Test(completion, row_7_a_failed_job_is_gone)
{
    struct scene scene = scene_uploaded();
    TEXT(path) = must_printf("/api/worker/%lld/fail", (long long)scene.job);
    REPLY(failed) = worker_call(&scene.worker, path,
                                "{\"error_message\":\"no video\",\"retry\":false}", NULL);
    reply_is(&failed, 200, NULL);
    cr_assert(reply_has(&failed, "will_retry") && !reply_bool(&failed, "will_retry"));
    REPLY(reply) = worker_complete(&scene.worker, scene.token);
    reply_is(&reply, 410, "job_gone");
    cr_assert_eq(completions(&scene), 0);
    rig_end(scene.rig);
}

Test(completion, row_7_a_deleted_video_is_gone)
{
    struct scene scene = scene_uploaded();
    inspect_change(scene.rig, "UPDATE videos SET deleted_at='2026-01-03T16:28:00.000000+00:00'");
    REPLY(reply) = worker_complete(&scene.worker, scene.token);
    reply_is(&reply, 410, "job_gone");
    cr_assert_eq(completions(&scene), 0);
    rig_end(scene.rig);
}

Test(completion, row_8_a_lock_that_is_not_had_is_503_in_progress_and_nothing_is_written)
{
    struct scene scene = scene_uploaded();
    struct sqlite3 *lock = inspect_lock_database(scene.rig);
    REPLY(reply) = worker_complete(&scene.worker, scene.token);
    reply_is(&reply, 503, "completion_in_progress");
    char after[16];
    reply_header(&reply, "Retry-After", after, sizeof after);
    cr_assert_str_eq(after, "1");
    cr_assert_lt(reply.took_ms, 15000);
    inspect_unlock_database(lock);
    cr_assert_eq(completions(&scene), 0);
    REPLY(again) = worker_complete(&scene.worker, scene.token);
    is_committed(&again);
    rig_end(scene.rig);
}

Test(completion, row_10_no_such_job)
{
    struct scene scene = scene_uploaded();
    scene.job = 4711;
    TEXT(body) = worker_completion("4711-0b9bd1d4-5c4e-4b1d-9a39-0a4b8a0a8f11", WORKER_360P);
    REPLY(reply) = complete_body(&scene, body, NULL);
    reply_is(&reply, 404, "job_not_found");
    rig_end(scene.rig);
}

Test(completion, row_11_who_never_held_it_is_refused)
{
    struct scene scene = {.rig = rig_new()};
    rig_start_verifier(scene.rig);
    scene.job = rig_add_job(scene.rig, media_clip(MEDIA_NORMAL), "film");
    struct worker bob = worker_new(scene.rig, "bob");
    bob.job = scene.job;
    worker_token(&bob, scene.token);
    bob.sends_epoch = false;
    REPLY(nobody) = worker_complete(&bob, scene.token);
    reply_is(&nobody, 403, "not_your_job");
    cr_assert(worker_claim(&bob));
    bob.sends_epoch = true;
    bob.epoch++; /* a claim that the database has never given out, or has forgotten */
    REPLY(forgotten) = worker_complete(&bob, scene.token);
    reply_is(&forgotten, 403, "not_your_job");
    cr_assert_eq(completions(&scene), 0);
    rig_end(scene.rig);
}

Test(completion, row_11_a_worker_that_never_held_it_cannot_complete_what_another_holds)
{
    struct scene scene = scene_uploaded();
    struct worker bob = worker_new(scene.rig, "bob");
    bob.job = scene.job;
    bob.epoch = scene.worker.epoch;
    for (int i = 0; i < 2; i++) {
        bob.sends_epoch = i == 0;
        REPLY(reply) = worker_complete(&bob, scene.token);
        reply_is(&reply, 403, "not_your_job");
    }
    cr_assert_eq(completions(&scene), 0);
    REPLY(good) = worker_complete(&scene.worker, scene.token);
    is_committed(&good);
    rig_end(scene.rig);
}

Test(completion, row_12_a_bad_key_or_none_changes_nothing)
{
    struct scene scene = scene_uploaded();
    struct worker stranger = scene.worker;
    snprintf(stranger.key, sizeof stranger.key, "%s", "not-the-key");
    REPLY(bad) = worker_complete(&stranger, scene.token);
    reply_is(&bad, 401, "unauthorized");
    stranger.key[0] = '\0';
    REPLY(none) = worker_complete(&stranger, scene.token);
    reply_is(&none, 401, "unauthorized");
    cr_assert_eq(completions(&scene), 0);
    REPLY(good) = worker_complete(&scene.worker, scene.token);
    is_committed(&good);
    rig_end(scene.rig);
}

struct malformed {
    const char *body; /* one %s: a good token */
    long status;
    const char *code;
};

static const struct malformed malformed[] = {
    {"", 400, "bad_json"},
    {"{", 400, "bad_json"},
    {"[]", 400, NULL},
    {"{} x", 400, "bad_json"},
    {"{\"duration\":3}", 422, "invalid_field"},
    {"{\"qualities\":{}}", 422, "invalid_field"},
    {"{\"qualities\":[{\"name\":\"361p\",\"width\":1,\"height\":1,\"bitrate\":1}]}", 422,
     "invalid_field"},
    {"{\"qualities\":[{\"name\":\"360p\",\"width\":0,\"height\":1,\"bitrate\":1}]}", 422,
     "invalid_field"},
    {"{\"qualities\":[{\"name\":\"360p\",\"width\":65536,\"height\":1,\"bitrate\":1}]}", 422,
     "invalid_field"},
    {"{\"qualities\":[{\"name\":\"360p\",\"width\":1,\"height\":1,\"bitrate\":-1}]}", 422,
     "invalid_field"},
    {"{\"qualities\":[{\"name\":\"360p\",\"width\":1,\"height\":1,\"bitrate\":1},"
     "{\"name\":\"360p\",\"width\":1,\"height\":1,\"bitrate\":1}]}",
     422, "invalid_field"},
    {"{\"qualities\":" WORKER_360P ",\"duration\":-1}", 422, "invalid_field"},
    {"{\"qualities\":" WORKER_360P ",\"duration\":\"3\"}", 422, "invalid_field"},
    {"{\"qualities\":" WORKER_360P ",\"source_width\":1e40}", 422, "invalid_field"},
    {"{\"qualities\":" WORKER_360P ",\"streaming_format\":\"dash\"}", 422, "invalid_field"},
    {"{\"qualities\":" WORKER_360P ",\"streaming_codec\":\"vp9\"}", 422, "invalid_field"},
    {"{\"qualities\":[]}", 422, "invalid_field"},
    {"{\"qualities\":" WORKER_360P ",\"completion_token\":\"\"}", 422, "token_malformed"},
    {"{\"qualities\":" WORKER_360P ",\"completion_token\":\"1\"}", 422, "token_malformed"},
    {"{\"qualities\":" WORKER_360P ",\"completion_token\":\"1-6ba7b810-9dad-11d1-80b4-"
     "00c04fd430c8\"}",
     422, "token_malformed"},
    {"{\"qualities\":" WORKER_360P
     ",\"completion_token\":\"2-0b9bd1d4-5c4e-4b1d-9a39-0a4b8a0a8f11\"}",
     422, "token_mismatch"},
    {"{\"qualities\":" WORKER_360P
     ",\"completion_token\":\"1-0b9bd1d4-5c4e-4b1d-9a39-0a4b8a0a8f11\\u0000x\"}",
     400, "bad_json"},
};

Test(completion, row_13_what_is_malformed_is_refused_and_named)
{
    struct scene scene = scene_uploaded();
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        REPLY(reply) = complete_body(&scene, malformed[i].body, NULL);
        cr_assert(reply.status == malformed[i].status ||
                      (malformed[i].code == NULL && reply.status == 422),
                  "%s -> %ld %s", malformed[i].body, reply.status, reply.body);
        cr_assert(!malformed[i].code || strcmp(reply_text(&reply, "code"), malformed[i].code) == 0,
                  "%s -> %s", malformed[i].body, reply.body);
        cr_assert(*reply_text(&reply, "detail"), "no detail: %s", reply.body);
    }
    cr_assert_eq(completions(&scene), 0);
    REPLY(good) = worker_complete(&scene.worker, scene.token);
    is_committed(&good);
    rig_end(scene.rig);
}

Test(completion, row_13_a_body_without_end_is_refused)
{
    struct scene scene = scene_uploaded();
    size_t size = 4 << 20;
    char *body = must_malloc(size + 1);
    memset(body, ' ', size);
    body[size] = '\0';
    REPLY(reply) = complete_body(&scene, body, NULL);
    free(body);
    /* Some clients still write when the answer comes, and then only see the connection go. */
    cr_assert(reply.status == 413 || reply.status == 0, "%ld %s", reply.status, reply.body);
    REPLY(good) = worker_complete(&scene.worker, scene.token);
    is_committed(&good);
    rig_end(scene.rig);
}

Test(completion, row_14_missing_output_is_named_and_then_made_good)
{
    struct scene scene = scene_uploaded();
    TEXT(segment) = rig_path(scene.rig, "videos/film/360p/seg_0001.m4s");
    cr_assert(unlink(segment) == 0);
    REPLY(reply) = worker_complete(&scene.worker, scene.token);
    reply_is(&reply, 422, "output_missing");
    const struct json *missing = json_get(reply.json, "qualities");
    cr_assert(missing && json_count(missing) == 1);
    cr_assert_str_eq(json_text(json_at(missing, 0)), "360p");
    cr_assert_eq(completions(&scene), 0);
    cr_assert_eq(inspect_int(scene.rig, "SELECT count(*) FROM videos WHERE status='ready'"), 0);
    worker_put_tree(&scene.worker);
    REPLY(again) = worker_complete(&scene.worker, scene.token);
    is_committed(&again);
    inspect_job_completed_once(scene.rig, scene.job);
    rig_end(scene.rig);
}

Test(completion, row_14_nothing_uploaded_is_missing_output)
{
    struct scene scene = scene_claimed();
    REPLY(reply) = worker_complete(&scene.worker, scene.token);
    reply_is(&reply, 422, "output_missing");
    cr_assert_eq(completions(&scene), 0);
    rig_end(scene.rig);
}

Test(completion, the_token_may_come_as_idempotency_key)
{
    struct scene scene = scene_uploaded();
    TEXT(body) = worker_completion(NULL, WORKER_360P);
    TEXT(header) = must_printf("Idempotency-Key: %s", scene.token);
    REPLY(first) = complete_body(&scene, body, header);
    is_committed(&first);
    cr_assert_str_eq(reply_text(&first, "token"), scene.token);
    TEXT(both) = worker_completion(scene.token, WORKER_360P);
    REPLY(second) = complete_body(&scene, both, header);
    is_replayed(&second);
    char other[128];
    worker_token(&scene.worker, other);
    TEXT(different) = must_printf("Idempotency-Key: %s", other);
    REPLY(third) = complete_body(&scene, both, different);
    cr_assert_eq(third.status, 422, "%s", third.body);
    rig_end(scene.rig);
}

Test(completion, the_headers_token_may_be_a_quoted_string)
{
    /* draft-ietf-httpapi-idempotency-key-header: the value is a structured-field string. */
    struct scene scene = scene_uploaded();
    TEXT(body) = worker_completion(scene.token, WORKER_360P);
    TEXT(header) = must_printf("Idempotency-Key: \"%s\"", scene.token);
    REPLY(reply) = complete_body(&scene, body, header);
    is_committed(&reply);
    rig_end(scene.rig);
}

Test(completion, an_acknowledgment_outlives_the_verifier)
{
    struct scene scene = scene_uploaded();
    REPLY(first) = worker_complete(&scene.worker, scene.token);
    is_committed(&first);
    process_free(scene.rig->verifier); /* kill -9 */
    scene.rig->verifier = NULL;
    inspect_job_completed_once(scene.rig, scene.job);
    rig_start_verifier(scene.rig);
    REPLY(again) = worker_complete(&scene.worker, scene.token);
    is_replayed(&again);
    rig_end(scene.rig);
}

Test(completion, completed_is_absorbing)
{
    struct scene scene = scene_uploaded();
    REPLY(first) = worker_complete(&scene.worker, scene.token);
    is_committed(&first);
    TEXT(path) = must_printf("/api/worker/%lld/fail", (long long)scene.job);
    REPLY(fail) = worker_call(&scene.worker, path, "{\"error_message\":\"x\"}", NULL);
    reply_is(&fail, 200, NULL);
    cr_assert(reply_has(&fail, "will_retry") && !reply_bool(&fail, "will_retry"));
    RUN(run) = rig_verifier(scene.rig, (const char *[]){"job", "release", "1", NULL});
    cr_assert_neq(run.status, 0);
    REPLY(claim) = worker_try_claim(&scene.worker, scene.job);
    cr_assert_eq(scene.worker.job, 0, "%s", claim.body);
    inspect_job_completed_once(scene.rig, scene.job);
    rig_end(scene.rig);
}
