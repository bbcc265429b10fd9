/* Runs the commands of README.md as printed. */
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <sys/stat.h>
#include <unistd.h>

enum { README_MS = 120 * 1000 };

Test(readme, every_command_works_as_printed)
{
    struct rig *rig = rig_new();
    TEXT(home) = rig_path(rig, "home");
    TEXT(video) = rig_path(rig, "home/video.mp4");
    TEXT(agent) = rig_path(rig, "home/tailslate-agent");
    TEXT(verifier) = rig_path(rig, "home/tailslate-verifier");
    cr_assert(mkdir(home, 0700) == 0);
    cr_assert(symlink(media_clip(MEDIA_TINY), video) == 0);
    cr_assert(symlink(TAILSLATE_AGENT, agent) == 0 && symlink(TAILSLATE_VERIFIER, verifier) == 0);

    TEXT(port) = must_printf("%d", rig->port);
    TEXT(path) = must_printf("PATH=%s:%s", home, getenv("PATH"));
    TEXT(scratch) = must_printf("TAILSLATE_TEST_SCRATCH=%s", rig->dir);
    RUN(run) = run_program((const char *[]){TAILSLATE_SOURCE_DIR "/tests/e2e/readme.sh", home, port,
                                            TAILSLATE_SOURCE_DIR "/README.md", NULL},
                           (const char *[]){path, scratch, NULL}, README_MS);
    cr_assert_eq(run.status, 0, "%d\n%s\n%s", run.status, run.out, run.err);
    rig_end(rig);
}
