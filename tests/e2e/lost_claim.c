/* A sealed completion in hand, and the claim goes, in every way that there is: the work lands, and
 * is not done twice. */
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <string.h>

#define NOT_NOW "503 code=store_unavailable"

/* One job, transcoded, uploaded and sealed; the server takes no completion yet. */
static struct rig *sealed_in_hand(const char *claims, int64_t *job)
{
    struct rig *rig = rig_new();
    struct peer *peer = rig_put_peer_between(rig);
    TEXT(refusals) = must_strdup(NOT_NOW);
    for (int i = 0; i < 4; i++) {
        TEXT(once) = steal_text(&refusals);
        refusals = must_printf("%s; %s", once, once);
    }
    peer_script(peer, "POST *complete", refusals);
    if (claims)
        peer_script(peer, "POST *claim*", claims);
    /* The peer does not tell the server that a client has hung up on a long poll. */
    rig_agent_set(rig, "claim.wait_seconds", claims ? "30" : "0");
    *job = rig_begin(rig, media_clip(MEDIA_TINY));
    peer_wait(peer, "POST *complete", 1, RIG_JOB_MS);
    return rig;
}

static void release(struct rig *rig)
{
    RUN(run) = rig_verifier(rig, (const char *[]){"job", "release", "1", NULL});
    cr_assert_eq(run.status, 0, "%s", run.err);
}

static void lands_once(struct rig *rig, int64_t job)
{
    peer_script(rig->peer, "POST *complete", "pass");
    rig_expect(rig, "event=job.final outcome=completed", RIG_JOB_MS, NULL);
    inspect_job_completed_once(rig, job);
    inspect_wait_spool(rig, "spool", 0, RIG_JOB_MS);
    inspect_spool_empty(rig);
    cr_assert_eq(rig_count_lines(rig, "event=step.transcoder_started"), 1, "it was done twice");
    cr_assert_eq(inspect_int(rig, "SELECT attempt_number FROM transcoding_jobs"), 1);
    rig_end(rig);
}

Test(lost_claim, by_expiry, .timeout = 120)
{
    int64_t job;
    struct rig *rig = sealed_in_hand(NULL, &job);
    inspect_change(rig, "UPDATE transcoding_jobs SET claim_expires_at='2020-01-01T00:00:00+00:00'");
    lands_once(rig, job);
}

Test(lost_claim, by_release, .timeout = 120)
{
    int64_t job;
    struct rig *rig = sealed_in_hand(NULL, &job);
    release(rig);
    rig_expect(rig, "event=job.reclaimed epoch=2", RIG_JOB_MS, NULL);
    lands_once(rig, job);
}

Test(lost_claim, by_a_release_that_a_drained_node_does_not_notice, .timeout = 120)
{
    int64_t job;
    struct rig *rig = sealed_in_hand(NULL, &job);
    RUN(drain) = rig_agent(rig, (const char *[]){"drain", NULL});
    cr_assert_eq(drain.status, 0, "%s", drain.err);
    release(rig);
    lands_once(rig, job);
}

Test(lost_claim, by_a_restart_of_the_server, .timeout = 120)
{
    int64_t job;
    struct rig *rig = sealed_in_hand(NULL, &job);
    process_free(rig->verifier); /* kill -9 */
    rig->verifier = NULL;
    rig_start_verifier(rig);
    lands_once(rig, job);
}

Test(lost_claim, by_an_answer_of_its_own_that_got_lost, .timeout = 120)
{
    int64_t job;
    struct rig *rig = sealed_in_hand("pass; lost; pass", &job);
    release(rig);
    inspect_wait_int(rig, 2, RIG_JOB_MS, "SELECT claim_epoch FROM job_epochs");
    peer_script(rig->peer, "POST *complete", "pass");
    rig_expect(rig, "event=job.final outcome=superseded", RIG_JOB_MS, NULL);
    release(rig);
    rig_expect(rig, "event=job.reclaimed epoch=3", RIG_JOB_MS, NULL);
    lands_once(rig, job);
}
