/* How long the agent waits before it looks again for a step that it cannot see. */
#include "agent/daemon/steps.h"

#include <criterion/criterion.h>
#include <inttypes.h>

Test(steps, a_step_that_is_not_seen_is_looked_for_ever_more_slowly_and_never_given_up)
{
    int64_t former_ms = 0, sum_ms = 0;
    for (unsigned looks = 1; looks < 100; looks++) {
        int64_t pause_ms = steps_unseen_pause_ms(looks);
        cr_assert_geq(pause_ms, former_ms, "look %u: %" PRId64 " ms", looks, pause_ms);
        cr_assert_leq(pause_ms, STEPS_UNSEEN_CAP_MS);
        former_ms = pause_ms;
        sum_ms += looks < STEPS_UNSEEN_MAX ? pause_ms : 0;
    }
    cr_assert_eq(steps_unseen_pause_ms(1), STEPS_UNSEEN_MS);
    cr_assert_eq(former_ms, STEPS_UNSEEN_CAP_MS);
    cr_assert_geq(sum_ms, 2000, "a slow disk would be reported: %" PRId64 " ms", sum_ms);
    cr_assert_eq(steps_unseen_pause_ms(UINT32_MAX), STEPS_UNSEEN_CAP_MS);
}
