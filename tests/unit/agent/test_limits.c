#include "agent/media/limits.h"
#include "agent/media/machine.h"
#include "base/clock.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

static struct config config(void)
{
    struct config config = {0};
    config.node.slots = 2;
    config.node.min_free_disk_gb = 5;
    config.transcode.stall_seconds = 120;
    config.limits.wall_factor = 30;
    config.limits.wall_floor_minutes = 30;
    config.limits.output_factor = 4;
    return config;
}

enum { GB = 1000000000, MINUTE_MS = 60 * 1000 };

Test(limits, each_comes_from_its_key_and_the_video)
{
    struct config settings = config();
    struct limits limits;
    limits_of(&settings, INT64_C(16) * GB, 60, GB, &limits);
    cr_expect_eq(limits.stall_ms, 2 * MINUTE_MS);
    cr_expect_eq(limits.wall_ms, 60 * MINUTE_MS);
    cr_expect_eq(limits.memory_bytes, INT64_C(6) * GB, "three quarters, for two slots");
    cr_expect_eq(limits.output_bytes, INT64_C(4) * GB + 64 * 1024 * 1024);
    cr_expect_gt(limits.reserve_bytes, 0);
    settings.limits.memory_gb = 2.5;
    limits_of(&settings, INT64_C(16) * GB, 60, GB, &limits);
    cr_expect_eq(limits.memory_bytes, INT64_C(2500000000));
}

Test(limits, zero_is_none)
{
    struct config settings = config();
    struct limits limits;
    settings.limits.wall_factor = settings.limits.output_factor = 0;
    settings.node.min_free_disk_gb = 0;
    limits_of(&settings, GB, 60, GB, &limits);
    struct limits_sample sample = {
        .work_ms = INT64_MAX, .output_bytes = INT64_MAX, .free_bytes = 0};
    cr_expect_eq(limits_check(&limits, &sample), LIMIT_NONE);
}

Test(limits, the_first_that_is_reached_is_named)
{
    static const struct limits limits = {.stall_ms = 100,
                                         .wall_ms = 1000,
                                         .memory_bytes = 50,
                                         .output_bytes = 70,
                                         .reserve_bytes = 10};
    static const struct {
        struct limits_sample sample;
        enum limit limit;
    } cases[] = {
        {{99, 999, 49, 69, 10}, LIMIT_NONE}, {{100, 0, 0, 0, 10}, LIMIT_STALL},
        {{0, 1000, 0, 0, 10}, LIMIT_WALL},   {{0, 0, 50, 0, 10}, LIMIT_MEMORY},
        {{0, 0, 0, 70, 10}, LIMIT_OUTPUT},   {{0, 0, 0, 0, 9}, LIMIT_DISK},
        {{0, 0, 0, 0, -1}, LIMIT_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(limits_check(&limits, &cases[i].sample), cases[i].limit, "case %zu", i);
}

Test(limits, the_reason_names_the_key_and_only_a_runaway_output_is_final)
{
    static const struct limits limits = {.stall_ms = 1500,
                                         .wall_ms = 60000,
                                         .memory_bytes = INT64_C(2) * GB,
                                         .output_bytes = INT64_C(3) * GB,
                                         .reserve_bytes = 64000000,
                                         .duration_s = 2};
    static const struct {
        enum limit limit;
        int code;
        enum error_class class;
        const char *key;
    } cases[] = {
        {LIMIT_STALL, ETIMEDOUT, ERROR_TEMPORARY, "no progress for 1.5 s"},
        {LIMIT_WALL, ETIME, ERROR_TEMPORARY, "limits.wall_factor"},
        {LIMIT_MEMORY, ENOMEM, ERROR_TEMPORARY, "limits.memory_gb"},
        {LIMIT_OUTPUT, EFBIG, ERROR_PERMANENT, "limits.output_factor"},
        {LIMIT_DISK, ENOSPC, ERROR_TEMPORARY, "no space left"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err;
        cr_expect_eq(limits_error(cases[i].limit, &limits, &err), -1);
        cr_expect_eq(err.code, cases[i].code);
        cr_expect_eq(err.class, cases[i].class);
        cr_expect_not_null(strstr(err.message, cases[i].key), "%s", err.message);
    }
}

/* ---- resources ---- */

Test(resources, the_machine_has_memory)
{
    cr_expect_gt(machine_memory_bytes(), 64 * 1024 * 1024);
}

Test(resources, a_groups_memory_is_that_of_all_its_processes)
{
    enum { EACH_BYTES = 32 * 1024 * 1024, CHILDREN = 2 };
    int ready[2];
    cr_assert_eq(pipe(ready), 0);
    pid_t group = 0, pids[CHILDREN];
    for (int i = 0; i < CHILDREN; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            char *memory = mmap(NULL, EACH_BYTES, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            setpgid(0, group);
            memset(memory, 1, EACH_BYTES);
            (void)!write(ready[1], "x", 1);
            pause();
            _exit(0);
        }
        group = group ? group : pids[i];
        setpgid(pids[i], group);
        char byte;
        cr_assert_eq(read(ready[0], &byte, 1), 1);
    }
    int64_t both = machine_group_memory_bytes(group);
    kill(-group, SIGKILL);
    for (int i = 0; i < CHILDREN; i++)
        waitpid(pids[i], NULL, 0);
    cr_expect_geq(both, (int64_t)CHILDREN * EACH_BYTES);
    cr_expect_eq(machine_group_memory_bytes(group), 0);
}
