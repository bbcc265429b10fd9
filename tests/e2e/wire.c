/* The edges of the wire: what is well-formed for HTTP and still not as the protocol has it. */
#include "look.h"
#include "media.h"
#include "worker.h"

#include "tailslate/cleanup.h"
#include "tailslate/clock.h"
#include "tailslate/error.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WAITS_MS = 30 * 1000, END_WITHIN_MS = 10 * 1000 };

struct scene {
    struct rig *rig;
    struct worker worker;
};

static struct scene scene_claimed(void)
{
    struct scene scene = {.rig = rig_new()};
    rig_start_verifier(scene.rig);
    scene.worker = worker_new(scene.rig, "alice");
    rig_add_job(scene.rig, media_clip(MEDIA_TINY), "film");
    cr_assert(worker_claim(&scene.worker));
    return scene;
}

Test(wire, a_registration_that_is_no_object_registers_nobody)
{
    struct scene scene = scene_claimed();
    int64_t before = look_int(scene.rig, "SELECT count(*) FROM workers");
    const char *const bodies[] = {"[]", "\"worker\"", "5", "null", "true"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        REPLY(reply) = admin_call(scene.rig, "/api/worker/register", bodies[i]);
        reply_is(&reply, 400, "bad_json");
    }
    cr_assert_eq(look_int(scene.rig, "SELECT count(*) FROM workers"), before);
    rig_end(scene.rig);
}
