/* A server that is down, slow, rude or gone astray, and claims that go under us. */
#include "base/clock.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "transcoder.h"
#include "worker.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

enum { CALLS_MS = 40 * 1000 };

/* Everything that a POST may meet, and an answer in the end. */
#define RUDE                                                                                       \
    "503 retry-after=1; hangup; stall 300ms; html 200; 429 retry-after=1; truncate; redirect; "    \
    "html 410; 500; lost; pass"

static const char *token_in(const struct peer_request *request)
{
    return strstr(request->body, "\"completion_token\":");
}

Test(bad_server, a_completion_goes_through_all_of_it_with_the_same_bytes, .timeout = 120)
{
    struct rig *rig = rig_new();
    struct peer *peer = rig_put_peer_between(rig);
    peer_script(peer, "POST *complete", RUDE);
    int64_t job = rig_begin(rig, media_clip(MEDIA_TINY));
    rig_wait_completed(rig, job);
    cr_assert_eq(peer_count(peer, "POST *complete"), 11);
    const struct peer_request *first = peer_request(peer, "POST *complete", 0);
    cr_assert(token_in(first));
    for (int i = 1; i < 11; i++) {
        const struct peer_request *request = peer_request(peer, "POST *complete", i);
        cr_assert_str_eq(request->body, first->body, "request %d says something else", i);
        int64_t gap_ms = request->at_mono_ms -
                         peer_request(peer, "POST *complete", i - 1)->at_mono_ms;
        if (i == 1 || i == 5)
            cr_assert_geq(gap_ms, 950, "Retry-After: 1 was not waited for: %d ms", (int)gap_ms);
    }
    rig_end(rig);
}

Test(bad_server, a_lost_answer_is_asked_for_again, .timeout = 120)
{
    struct rig *rig = rig_new();
    struct peer *peer = rig_put_peer_between(rig);
    peer_script(peer, "POST *complete", "lost; lost; lost; pass");
    int64_t job = rig_begin(rig, media_clip(MEDIA_TINY));
    rig_wait_completed(rig, job);
    cr_assert_eq(peer_count(peer, "POST *complete"), 4);
    rig_end(rig);
}

Test(bad_server, every_call_is_rude_at_first, .timeout = 180)
{
    struct rig *rig = rig_new();
    struct peer *peer = rig_put_peer_between(rig);
    peer_script(peer, "POST *heartbeat", "hangup; html 200; 500; truncate; pass");
    peer_script(peer, "POST *claim*", "503 retry-after=1; hangup; html 200; truncate; pass");
    peer_script(peer, "GET *source*", "503; hangup; html 502; truncate; pass");
    peer_script(peer, "POST *progress", "hangup; html 200; 503; pass");
    peer_script(peer, "GET *status*", "hangup; html 200; 503; pass");
    peer_script(peer, "POST *segment/360p/*", "500; hangup; html 200; lost; truncate; pass");
    peer_script(peer, "POST *segment/finalize", "hangup; html 200; lost; 503; truncate; pass");
    peer_script(peer, "POST *upload/1/finalize", "503; hangup; html 200; lost; truncate; pass");
    peer_script(peer, "POST *complete", "html 200; hangup; lost; pass");
    int64_t job = rig_begin(rig, media_clip(MEDIA_TINY));
    rig_wait_completed(rig, job);
    rig_end(rig);
}

Test(bad_server, a_page_of_a_captive_portal_is_no_source, .timeout = 120)
{
    struct rig *rig = rig_new();
    struct peer *peer = rig_put_peer_between(rig);
    peer_script(peer, "GET *source*", "html 200; pass");
    int64_t job = rig_begin(rig, media_clip(MEDIA_TINY));
    rig_wait_completed(rig, job);
    cr_assert_geq(peer_count(peer, "GET *source*"), 2);
    rig_end(rig);
}

Test(bad_server, a_server_that_is_down_at_the_start_is_waited_for, .timeout = 120)
{
    struct rig *rig = rig_new();
    int64_t job = rig_add_job(rig, media_clip(MEDIA_TINY), "film");
    rig_start_agent(rig);
    rig_expect(rig, "level=warning", CALLS_MS, NULL);
    rig_start_verifier(rig);
    rig_wait_completed(rig, job);
    rig_end(rig);
}

Test(bad_server, a_slow_server_is_only_slow, .timeout = 120)
{
    struct rig *rig = rig_new();
    struct peer *peer = rig_put_peer_between(rig);
    peer_script(peer, "POST *claim*", "slow 1s");
    peer_script(peer, "GET *source*", "slow 1s");
    peer_script(peer, "POST *finalize", "slow 1s; slow 1s");
    peer_script(peer, "POST *complete", "slow 2s");
    int64_t job = rig_begin(rig, media_clip(MEDIA_TINY));
    rig_wait_completed(rig, job);
    cr_assert_eq(peer_count(peer, "POST *complete"), 1, "it did not wait for the answer");
    rig_end(rig);
}

Test(bad_server, a_missing_rendition_is_uploaded_again_and_presented_with_the_same_token,
     .timeout = 120)
{
    struct rig *rig = rig_new();
    struct peer *peer = rig_put_peer_between(rig);
    peer_script(peer, "POST *complete", "hangup; hangup; hangup; pass");
    int64_t job = rig_begin(rig, media_clip(MEDIA_TINY));
    peer_wait(peer, "POST *complete", 1, RIG_JOB_MS);
    TEXT(segment) = rig_path(rig, "videos/film/360p/init.mp4");
    cr_assert(unlink(segment) == 0);
    rig_wait_completed(rig, job);
    const struct peer_request *first = peer_request(peer, "POST *complete", 0);
    int count = peer_count(peer, "POST *complete");
    cr_assert_geq(count, 5);
    cr_assert_str_eq(peer_request(peer, "POST *complete", count - 1)->body, first->body);
    rig_end(rig);
}

/* ---- a key that is no good ---- */

Test(bad_server, a_rotated_key_holds_the_result_until_it_is_put_right, .timeout = 120)
{
    struct rig *rig = rig_new();
    struct peer *peer = rig_put_peer_between(rig);
    peer_script(peer, "POST *complete",
                "401 code=unauthorized; 403 code=forbidden; 401 code=unauthorized; pass");
    int64_t job = rig_begin(rig, media_clip(MEDIA_TINY));
    rig_wait_completed(rig, job);
    cr_assert_eq(peer_count(peer, "POST *complete"), 4);
    rig_end(rig);
}

/* ---- the claim goes under us ---- */

/* Only the first. */
static void endless_transcoder(struct rig *rig)
{
    transcoder_does(rig,
                    "echo $$ >>'%s/transcoders'; [ $(wc -l <'%s/transcoders') -gt 1 ] || "
                    "exec ffmpeg -readrate 0.2 \"$@\"",
                    rig->dir, rig->dir);
}

Test(bad_server, a_claim_lost_under_us_stops_the_transcoder_and_the_node_goes_on, .timeout = 120)
{
    struct rig *rig = rig_new();
    endless_transcoder(rig);
    rig_start_verifier(rig);
    int64_t lost = rig_add_job(rig, media_clip(MEDIA_NORMAL), "lost");
    rig_start_agent(rig);
    pid_t transcoder = transcoder_wait(rig);
    struct worker thief = worker_new(rig, "thief");
    worker_take_over(&thief, lost);
    inspect_wait_end(transcoder);
    int64_t next = rig_add_job(rig, media_clip(MEDIA_TINY), "next");
    rig_wait_final(rig, lost);
    rig_wait_final(rig, next);
    inspect_wait_spool(rig, "spool", 0, CALLS_MS);
    inspect_job_completed_once(rig, next);
    /* The new holder never notices. */
    worker_put_tree(&thief);
    char token[128];
    worker_token(&thief, token);
    REPLY(reply) = worker_complete(&thief, token);
    reply_is(&reply, 200, NULL);
    inspect_job_completed_once(rig, lost);
    rig_end(rig);
}

Test(bad_server, a_job_deleted_under_us_is_let_go, .timeout = 120)
{
    struct rig *rig = rig_new();
    endless_transcoder(rig);
    rig_start_verifier(rig);
    int64_t gone = rig_add_job(rig, media_clip(MEDIA_NORMAL), "gone");
    rig_start_agent(rig);
    pid_t transcoder = transcoder_wait(rig);
    inspect_change(rig,
                   "UPDATE videos SET deleted_at='2026-01-03T16:28:00.000000+00:00' WHERE id=1");
    inspect_wait_end(transcoder);
    rig_wait_final(rig, gone);
    int64_t next = rig_add_job(rig, media_clip(MEDIA_TINY), "next");
    rig_wait_completed(rig, next);
    cr_assert_eq(inspect_int(rig, "SELECT count(*) FROM completions WHERE job_id=1"), 0);
    rig_end(rig);
}

Test(bad_server, a_sealed_completion_of_a_lost_claim_is_kept_aside, .timeout = 120)
{
    struct rig *rig = rig_new();
    struct peer *peer = rig_put_peer_between(rig);
    peer_script(peer, "POST *complete", "409 code=claim_lost");
    int64_t job = rig_begin(rig, media_clip(MEDIA_TINY));
    rig_wait_final(rig, job);
    inspect_wait_spool(rig, "kept", 1, CALLS_MS); /* finished work is not thrown away */
    inspect_wait_spool(rig, "spool", 0, CALLS_MS);
    cr_assert_eq(peer_count(peer, "POST *complete"), 1);
    rig_end(rig);
}

Test(bad_server, a_refused_completion_goes_to_quarantine_and_the_node_goes_on, .timeout = 120)
{
    struct rig *rig = rig_new();
    struct peer *peer = rig_put_peer_between(rig);
    peer_script(peer, "POST *worker/1/complete", "422 code=token_reused");
    rig_start_verifier(rig);
    rig_add_job(rig, media_clip(MEDIA_TINY), "one");
    int64_t next = rig_add_job(rig, media_clip(MEDIA_TINY), "two");
    rig_start_agent(rig);
    rig_wait_final(rig, next);
    inspect_job_completed_once(rig, next);
    inspect_wait_spool(rig, "quarantine", 1, CALLS_MS);
    rig_end(rig);
}
