/* What an operator sees of the server side: `status`. */
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "scene.h"

#include <criterion/criterion.h>
#include <string.h>

Test(status, shows_a_running_job_and_then_its_completion_with_its_replays)
{
    struct scene scene = scene_uploaded();
    RUN(running) = rig_verifier(scene.rig, (const char *const[]){"status", NULL});
    cr_assert_eq(running.status, 0, "%s", running.err);
    cr_expect(strstr(running.out, "1 running"), "%s", running.out);
    cr_expect(strstr(running.out, "alice"), "%s", running.out);
    for (int i = 0; i < 3; i++) {
        REPLY(reply) = worker_complete(&scene.worker, scene.token);
        reply_is(&reply, 200, NULL);
    }
    inspect_wait_int(scene.rig, 2, 10000, "SELECT replays FROM completions");

    RUN(over) = rig_verifier(scene.rig, (const char *const[]){"status", NULL});
    cr_expect(strstr(over.out, "1 completed"), "%s", over.out);
    cr_expect(strstr(over.out, scene.token), "%s", over.out);
    RUN(json) = rig_verifier(scene.rig, (const char *const[]){"status", "--json", NULL});
    struct error err;
    JSON(root) = json_parse(json.out, strlen(json.out), &err);
    const struct json *recent = json_at(json_get(root, "recent_completions"), 0);
    int64_t replays = -1;
    cr_assert_eq(json_get_int(recent, "replays", 0, 100, &replays), JSON_FOUND, "%s", json.out);
    cr_expect_eq(replays, 2);
    RUN(shown) = rig_verifier(scene.rig, (const char *const[]){"job", "show", "1", NULL});
    cr_expect(strstr(shown.out, "presented again 2 times"), "%s", shown.out);
    rig_end(scene.rig);
}
