/* A server that goes and comes back: what waits for it, and what the return wakes. */
#include "base/clock.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "rig.h"

#include <criterion/criterion.h>

enum { WOKEN_MS = 100 * 1000 }; /* five wake-ups of a few seconds, on a busy machine */

/* Uploads whose own backoff lasts minutes, and progress reports every few seconds. */
static struct rig *with_patient_uploads(const char *segments)
{
    struct rig *rig = rig_new();
    peer_script(rig_put_peer_between(rig), "POST *segment/360p/*", segments);
    rig_agent_set(rig, "retry.base_seconds", "60");
    rig_agent_set(rig, "retry.cap_seconds", "3600");
    rig_verifier_set(rig, "claims.duration_minutes", "0.2");
    rig_start_verifier(rig);
    return rig;
}

Test(outage, one_call_that_finds_the_server_back_wakes_the_uploads, .timeout = 300)
{
    struct rig *rig = with_patient_uploads("hangup; hangup; hangup; hangup; hangup; pass");
    int64_t job = rig_add_job(rig, media_clip(MEDIA_TINY), "film");
    rig_start_agent(rig);
    peer_wait(rig->peer, "POST *segment/360p/*", 1, RIG_JOB_MS);
    int64_t first_ms = mono_ms();
    peer_wait(rig->peer, "POST *segment/360p/*", 6, 280 * 1000);
    cr_assert_lt(mono_ms() - first_ms, WOKEN_MS, "they sat out their own backoff");
    rig_wait_completed(rig, job);
    rig_end(rig);
}

Test(outage, the_return_does_not_cut_a_retry_after_short, .timeout = 120)
{
    struct rig *rig = with_patient_uploads("503 retry-after=20 code=store_unavailable; pass");
    rig_agent_set(rig, "retry.base_seconds", "0.1");
    rig_agent_set(rig, "retry.cap_seconds", "0.1");
    int64_t job = rig_add_job(rig, media_clip(MEDIA_TINY), "film");
    rig_start_agent(rig);
    peer_wait(rig->peer, "POST *segment/360p/*", 2, RIG_JOB_MS);
    int64_t pause_ms = peer_request(rig->peer, "POST *segment/360p/*", 1)->at_mono_ms -
                       peer_request(rig->peer, "POST *segment/360p/*", 0)->at_mono_ms;
    cr_assert_geq(pause_ms, 19900);
    rig_wait_completed(rig, job);
    rig_end(rig);
}
