#include "base/crash.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <sys/wait.h>

/* How a process ends that comes by these points: 0, or the signal. */
static int ending_of(const char *wanted, const enum crash_point *points, size_t count)
{
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        if (wanted)
            setenv("TAILSLATE_CRASH", wanted, 1);
        else
            unsetenv("TAILSLATE_CRASH");
        for (size_t i = 0; i < count; i++)
            crash_point(points[i]);
        _exit(0);
    }
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

static const enum crash_point life[] = {CRASH_STEP_LOCKED, CRASH_STEP_UPLOADED, CRASH_STEP_SEALED};

Test(crash, happens_at_the_point_once_and_the_flag_tells)
{
    SCRATCH(scratch);
    scratch_put_text(&scratch, "flag", "");
    TEXT(wanted) = must_printf("%d:%s/flag", CRASH_STEP_UPLOADED, scratch.path);
    cr_expect_eq(ending_of(wanted, life, 1), 0, "the point was not reached");
    cr_expect(durable_exists(scratch.fd, "flag"));
    cr_expect_eq(ending_of(wanted, life, 3), SIGKILL);
    cr_expect_not(durable_exists(scratch.fd, "flag"));
    cr_expect_eq(ending_of(wanted, life, 3), 0, "the flag is gone: no second crash");
}

Test(crash, nothing_happens_without_being_asked_for)
{
    SCRATCH(scratch);
    scratch_put_text(&scratch, "flag", "");
    TEXT(no_number) = must_printf(":%s/flag", scratch.path);
    TEXT(longer) = must_printf("%d0:%s/flag", CRASH_STEP_UPLOADED, scratch.path);
    TEXT(no_colon) = must_printf("%d?%s/flag", CRASH_STEP_UPLOADED, scratch.path);
    cr_expect_eq(ending_of(NULL, life, 3), 0);
    cr_expect_eq(ending_of("", life, 3), 0);
    cr_expect_eq(ending_of(no_number, life, 3), 0);
    cr_expect_eq(ending_of(longer, life, 3), 0);
    cr_expect_eq(ending_of(no_colon, life, 3), 0);
    cr_expect(durable_exists(scratch.fd, "flag"));
}

Test(crash, numbers_are_one_a_point)
{
    static const int numbers[] = {
#define NUMBER(number, name, meaning) number,
        CRASH_POINTS(NUMBER)
#undef NUMBER
    };
    for (size_t i = 1; i < sizeof numbers / sizeof numbers[0]; i++)
        cr_expect_gt(numbers[i], numbers[i - 1]);
}
