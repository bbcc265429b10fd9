/* What the agent asks its tools, and when. */
#include "base/clock.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "rig.h"
#include "transcoder.h"

#include <criterion/criterion.h>

enum { HELD_MS = 2000 };

Test(tools, ffmpeg_is_not_asked_before_the_first_heartbeat_has_had_its_turn, .timeout = 60)
{
    struct rig *rig = rig_new();
    TEXT(mark) = rig_path(rig, "asked");
    TEXT(text) = must_printf(": >'%s'", mark);
    transcoder_use(rig, text);
    peer_script(rig_put_peer_between(rig), "POST *heartbeat", "stall 2s; pass");
    rig_start_verifier(rig);
    rig_start_agent(rig);
    cr_assert(inspect_wait_file(mark, true, RIG_START_MS));
    int64_t asked_ms = mono_ms();
    cr_assert_geq(asked_ms - peer_request(rig->peer, "POST *heartbeat", 0)->at_mono_ms, HELD_MS);
    rig_end(rig);
}

Test(tools, an_ffmpeg_that_never_ends_is_broken, .timeout = 60)
{
    struct rig *rig = rig_new();
    transcoder_use(rig, "exec sleep 600");
    rig_start_verifier(rig);
    rig_start_agent(rig);
    rig_expect(rig, "event=ffmpeg.broken", RIG_START_MS, NULL);
    rig_end(rig);
}
