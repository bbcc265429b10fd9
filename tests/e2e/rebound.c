/* A job is claimed again by the node that holds its work, while a call about the former claim is
 * under way: what that call hears is not about the new claim. Two scripts, one behind the other, so
 * that an answer can be late: the front one holds it, the one behind says it. */
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "rig.h"
#include "scripted.h"

#include <criterion/criterion.h>
#include <string.h>

static struct rig *with_scripts(struct peer *behind)
{
    struct rig *rig = rig_new();
    scripted_server(behind, SCRIPTED_CLAIM("1") "; " SCRIPTED_NO_JOB, "200 ack");
    peer_set_upstream(rig_put_peer_between(rig), peer_port(behind));
    return rig;
}

static void check_delivered(struct rig *rig)
{
    rig_wait_final(rig, 7);
    inspect_wait_spool(rig, "spool", 0, RIG_JOB_MS);
    inspect_spool_empty(rig);
    cr_assert_eq(rig_count_lines(rig, "event=job.final outcome=completed"), 1);
    cr_assert_eq(rig_count_lines(rig, "event=step.transcoder_started"), 1);
}

static void claimed_while_under_way(const char *pattern, const char *afterwards)
{
    struct peer *behind = peer_start();
    struct rig *rig = with_scripts(behind);
    TEXT(front) = must_printf("held; %s", afterwards);
    peer_script(rig->peer, pattern, front);
    peer_script(behind, pattern, "409 code=claim_lost; " SCRIPTED_FINALIZED);
    rig_start_agent(rig);
    peer_wait(rig->peer, pattern, 1, RIG_JOB_MS);
    peer_script(behind, "POST *claim*", SCRIPTED_CLAIM("2") "; " SCRIPTED_NO_JOB);
    rig_expect(rig, "event=job.reclaimed epoch=2", RIG_START_MS, NULL);
    peer_release(rig->peer);
    check_delivered(rig);
    rig_end(rig);
    peer_stop(behind);
}

Test(rebound, an_upload_that_lost_the_former_claim_goes_on_under_the_new_one, .timeout = 120)
{
    claimed_while_under_way("POST *segment/finalize", "pass");
}

Test(rebound, a_report_under_the_former_claim_does_not_end_the_new_one, .timeout = 120)
{
    claimed_while_under_way("POST *complete", "200 ack");
}

/* The other way round: the refusal of the former claim comes before the answer that explains it. */
static void answered_after_the_refusal(const char *refused, const char *refusals)
{
    struct peer *behind = peer_start();
    struct rig *rig = with_scripts(behind);
    peer_script(behind, refused, refusals);
    peer_script(behind, "POST *claim*",
                SCRIPTED_CLAIM("1") "; " SCRIPTED_CLAIM("2") "; " SCRIPTED_NO_JOB);
    peer_script(rig->peer, "POST *claim*", "pass; held; pass");
    rig_agent_set(rig, "node.slots", "2");
    rig_agent_set(rig, "claim.wait_seconds", "30");
    rig_start_agent(rig);
    rig_expect(rig, "event=job.final", RIG_JOB_MS, NULL);
    peer_release(rig->peer); /* the new claim's answer comes after it */
    rig_expect(rig, "event=job.reclaimed epoch=2", RIG_JOB_MS, NULL);
    rig_expect(rig, "event=job.final outcome=completed", RIG_JOB_MS, NULL);
    inspect_wait_spool(rig, "spool", 0, RIG_JOB_MS);
    inspect_spool_empty(rig);
    cr_assert_eq(rig_count_lines(rig, "event=step.transcoder_started"), 1, "it was made again");
    rig_end(rig);
    peer_stop(behind);
}

Test(rebound, a_refusal_that_overtakes_the_new_claim_costs_no_second_transcode, .timeout = 120)
{
    answered_after_the_refusal("POST *complete", "409 code=claim_lost; 200 ack");
}

Test(rebound, an_upload_s_refusal_that_overtakes_the_new_claim_costs_none_either, .timeout = 120)
{
    answered_after_the_refusal("POST *segment/finalize",
                               "409 code=claim_lost; " SCRIPTED_FINALIZED);
}

/* A server that gives the same job to every claim: it is not asked thousands of times. */
Test(rebound, the_same_job_again_and_again_is_taken_at_a_pace, .timeout = 120)
{
    struct peer *behind = peer_start();
    struct rig *rig = with_scripts(behind);
    peer_script(behind, "POST *complete", "503 retry-after=3600 code=store_unavailable");
    peer_script(behind, "POST *claim*", SCRIPTED_CLAIM("1"));
    rig_agent_set(rig, "node.slots", "2");
    rig_start_agent(rig);
    rig_expect(rig, "event=delivery.refused", RIG_JOB_MS, NULL);
    int asked = peer_count(rig->peer, "POST *claim*");
    peer_wait_more(rig->peer, "POST *heartbeat", 10, RIG_JOB_MS);
    cr_assert_lt(peer_count(rig->peer, "POST *claim*") - asked, 30);
    rig_kill_node(rig);
    rig_end(rig);
    peer_stop(behind);
}

/* The database was put back, or is another one: the number is the same, the video is not. */
#define OTHER_CLAIM SCRIPTED_CLAIM_OF("4", "other", "\"claim_epoch\":2,\"attempt_number\":1,")

Test(rebound, a_video_is_not_presented_for_another_that_has_its_number, .timeout = 120)
{
    struct peer *behind = peer_start();
    struct rig *rig = with_scripts(behind);
    peer_script(behind, "POST *complete", "503 code=store_unavailable");
    rig_start_agent(rig);
    rig_expect(rig, "event=delivery.refused", RIG_JOB_MS, NULL);
    peer_script(behind, "POST *claim*", OTHER_CLAIM "; " SCRIPTED_NO_JOB);
    rig_expect(rig, "event=job.other_video record=7.1 hint=", RIG_JOB_MS, NULL);
    peer_script(behind, "POST *complete", "200 ack");
    rig_expect(rig, "event=job.final outcome=completed record=7.2", RIG_JOB_MS, NULL);
    inspect_wait_spool(rig, "spool", 1, RIG_JOB_MS);
    rig_stop_agent(rig);
    int presented = peer_count(behind, "POST *complete");
    rig_start_agent(rig);
    inspect_wait_status(rig, NULL,
                        "ID for another video: video 4, other; this record is for video 3, film",
                        RIG_START_MS);
    peer_wait_more(behind, "POST *heartbeat", 3, RIG_START_MS);
    cr_assert_eq(peer_count(behind, "POST *complete"), presented, "it was presented");
    rig_end(rig);
    peer_stop(behind);
}
