/* A re-transcode that is ordered before the node has its acknowledgment: the same node claims it,
 * and the work that it still has is not for that claim. */
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "rig.h"

#include <criterion/criterion.h>

#define NOT_NOW    "503 code=store_unavailable; "
#define FOUR(text) text text text text

/* The completion is committed, its answer is lost, and the job is ordered again. */
static struct rig *ordered_before_the_acknowledgment(const char *claims)
{
    struct rig *rig = rig_new();
    struct peer *peer = rig_put_peer_between(rig);
    peer_script(peer, "POST *complete", "lost; " FOUR(FOUR(NOT_NOW)) "pass");
    peer_script(peer, "POST *claim*", claims);
    rig_agent_set(rig, "claim.wait_seconds", "0");
    rig_begin(rig, media_clip(MEDIA_TINY));
    inspect_wait_int(rig, 1, RIG_JOB_MS, "SELECT count(*) FROM completions");
    RUN(run) = rig_verifier(rig, (const char *[]){"job", "retranscode", "1", NULL});
    cr_assert_eq(run.status, 0, "%s", run.err);
    return rig;
}

static void is_transcoded_again(struct rig *rig)
{
    rig_expect(rig, "event=job.final outcome=completed record=1.2", RIG_JOB_MS, NULL);
    inspect_wait_int(rig, 2, RIG_JOB_MS, "SELECT count(*) FROM completions");
    cr_assert_eq(rig_count_lines(rig, "event=step.transcoder_started"), 2);
    cr_assert_eq(rig_count_lines(rig, "event=job.reclaimed"), 0);
    cr_assert_eq(rig_count_lines(rig, "event=job.final outcome=superseded record=1.1"), 1);
    inspect_wait_spool(rig, "spool", 0, RIG_JOB_MS);
    cr_assert_eq(inspect_spool_count(rig, "kept"), 1, "the former work");
    rig_end(rig);
}

Test(retranscode, is_not_answered_by_the_work_that_the_node_still_presents, .timeout = 120)
{
    struct rig *rig = ordered_before_the_acknowledgment("pass");
    rig_expect(rig, "event=job.claimed epoch=2", RIG_JOB_MS, NULL);
    peer_script(rig->peer, "POST *complete", "pass");
    is_transcoded_again(rig);
}

Test(retranscode, is_not_answered_by_the_work_that_the_node_has_retained, .timeout = 120)
{
    struct rig *rig = ordered_before_the_acknowledgment("pass; held");
    peer_script(rig->peer, "POST *complete", "pass");
    rig_expect(rig, "event=job.final outcome=superseded", RIG_JOB_MS, NULL);
    inspect_wait_spool(rig, "kept", 1, RIG_JOB_MS);
    peer_release(rig->peer);
    is_transcoded_again(rig);
}
