#include "agent/base/child.h"
#include "base/clock.h"
#include "lib/cleanup.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { DEADLINE_MS = 10 * 1000 };

static int spawn(const char *script, struct child_options *options, struct child *child,
                 struct error *err)
{
    static char shell[] = "sh", flag[] = "-c";
    static char text[512];
    static char *argv[] = {shell, flag, text, NULL};
    snprintf(text, sizeof text, "%s", script);
    options->argv = argv;
    return child_spawn(options, child, err);
}

static struct child_exit run(const char *script, int log)
{
    struct child_options options = {.directory = -1, .out_fd = log, .err_fd = log};
    struct child child = CHILD_INIT;
    struct child_exit how = {.number = -1};
    struct error err;
    cr_assert_eq(spawn(script, &options, &child, &err), 0, "%s", err.message);
    cr_assert(child_wait(&child, DEADLINE_MS, &how));
    cr_expect_eq(child.pid, 0);
    return how;
}

static int memory(void)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    cr_assert_geq(fd, 0);
    return fd;
}

static void read_text(int fd, char text[1024])
{
    ssize_t size = pread(fd, text, 1023, 0);
    cr_assert_geq(size, 0);
    text[size] = '\0';
}

Test(child, the_exit_is_told_as_it_was)
{
    FD(log) = memory();
    char text[64];
    struct child_exit how = run("exit 3", log);
    cr_expect_not(how.signalled);
    cr_expect_eq(how.number, 3);
    child_describe(how, text, sizeof text);
    cr_expect_str_eq(text, "exit status 3");
    how = run("kill -9 $$", log);
    cr_expect(how.signalled);
    child_describe(how, text, sizeof text);
    cr_expect_str_eq(text, "signal 9 (Killed)");
}

Test(child, a_program_that_is_not_there_is_an_error_and_no_exit)
{
    char name[] = "/nonexistent/program";
    char *argv[] = {name, NULL};
    struct child_options options = {.argv = argv, .directory = -1, .out_fd = 1, .err_fd = 2};
    struct child child = CHILD_INIT;
    struct error err;
    cr_assert_eq(child_spawn(&options, &child, &err), -1);
    cr_expect_eq(err.code, ENOENT);
    cr_expect_not_null(strstr(err.message, "/nonexistent/program"));
    cr_expect_eq(child.pid, 0);
}

Test(child, it_has_its_own_group_an_empty_stdin_and_nothing_of_ours)
{
    FD(log) = memory();
    /* Deliberately without CLOEXEC: as a careless library would leave it. */
    FD(leak) = fcntl(log, F_DUPFD, 50);
    char text[1024];
    run("cat; echo in=$?; ps -o pgid= -p $$ | tr -d ' ' | grep -qx $$ && echo own; "
        "test -e /proc/self/fd/50 && echo leaked; true",
        log);
    read_text(log, text);
    cr_expect_str_eq(text, "in=0\nown\n");
    cr_expect_geq(leak, 50);
}

Test(child, it_runs_where_and_with_what_it_is_told)
{
    FD(log) = memory();
    FD(root) = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char added[] = "TAILSLATE_TEST=a b";
    char *environment[] = {added, NULL};
    struct child_options options = {.environment = environment,
                                    .directory = root,
                                    .out_fd = log,
                                    .err_fd = log,
                                    .sandbox = {.file_limit_bytes = 1 << 20}};
    struct child child = CHILD_INIT;
    struct child_exit how;
    struct error err;
    char text[1024];
    cr_assert_eq(spawn("pwd; echo \"$TAILSLATE_TEST\"; ulimit -f", &options, &child, &err), 0);
    cr_assert(child_wait(&child, DEADLINE_MS, &how));
    read_text(log, text);
    cr_expect_str_eq(text, "/proc\na b\n2048\n");
}

Test(child, blocked_and_ignored_signals_of_ours_are_not_its)
{
    FD(log) = memory();
    char text[1024];
    sigset_t set;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    run("grep -E '^Sig(Blk|Ign)' /proc/self/status | tr -d '\\t '", log);
    read_text(log, text);
    cr_expect_str_eq(text, "SigBlk:0000000000000000\nSigIgn:0000000000000000\n", "%s", text);
}

/* The child tells by a file that it has come so far. */
static void wait_for_text(int fd, const char *wanted, char text[1024])
{
    int64_t deadline = mono_ms() + DEADLINE_MS;
    do {
        cr_assert_lt(mono_ms(), deadline, "waited in vain for %s", wanted);
        read_text(fd, text);
    } while (!strstr(text, wanted));
}

static bool is_gone(pid_t pid)
{
    char path[64], text[256] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FD(fd) = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return true;
    ssize_t size = read(fd, text, sizeof text - 1);
    const char *state = size > 0 ? strrchr(text, ')') : NULL;
    return !state || state[2] == 'Z' || state[2] == 'X';
}

static void wait_until_gone(pid_t pid)
{
    int64_t deadline = mono_ms() + DEADLINE_MS;
    while (!is_gone(pid))
        cr_assert_lt(mono_ms(), deadline, "process %d is still there", (int)pid);
}

Test(child, stopping_takes_the_whole_group)
{
    FD(log) = memory();
    struct child_options options = {.directory = -1, .out_fd = log, .err_fd = log};
    struct child child = CHILD_INIT;
    struct error err;
    char text[1024];
    int grandchild = 0;
    cr_assert_eq(spawn("sleep 1000 & echo $! ready; wait", &options, &child, &err), 0);
    wait_for_text(log, "ready", text);
    cr_assert_eq(sscanf(text, "%d", &grandchild), 1);
    child_stop(&child);
    cr_expect_eq(child.pid, 0);
    wait_until_gone(grandchild);
}

Test(child, what_it_leaves_behind_at_its_end_is_killed)
{
    FD(log) = memory();
    char text[1024];
    int grandchild = 0;
    run("sleep 1000 & echo $!", log);
    read_text(log, text);
    cr_assert_eq(sscanf(text, "%d", &grandchild), 1);
    wait_until_gone(grandchild);
}

Test(child, one_that_will_not_end_is_killed)
{
    FD(log) = memory();
    struct child_options options = {.directory = -1, .out_fd = log, .err_fd = log};
    struct child child = CHILD_INIT;
    struct error err;
    char text[1024];
    cr_assert_eq(
        spawn("trap '' TERM; echo ready; while :; do sleep 1; done", &options, &child, &err), 0);
    pid_t pid = child.pid;
    wait_for_text(log, "ready", text);
    int64_t before = mono_ms();
    child_stop(&child);
    cr_expect_geq(mono_ms() - before, CHILD_TERM_MS - 100, "SIGTERM had its chance");
    cr_expect(is_gone(pid));
}

Test(child, it_dies_with_its_parent)
{
    FD(log) = memory();
    char text[1024];
    int grandchild = 0;
    pid_t parent = fork();
    if (parent == 0) {
        struct child_options options = {.directory = -1, .out_fd = log, .err_fd = log};
        struct child child = CHILD_INIT;
        struct error err;
        if (spawn("echo $$ ready; exec sleep 1000", &options, &child, &err) == 0)
            wait_for_text(log, "ready", text);
        raise(SIGKILL);
    }
    waitpid(parent, NULL, 0);
    read_text(log, text);
    cr_assert_eq(sscanf(text, "%d", &grandchild), 1, "%s", text);
    wait_until_gone(grandchild);
}

Test(child, what_a_dead_parent_left_is_found_by_its_mark)
{
    FD(log) = memory();
    char text[1024], mark[64];
    int grandchild = 0;
    snprintf(mark, sizeof mark, "TAILSLATE_RECORD=test-%d", (int)getpid());
    pid_t parent = fork();
    if (parent == 0) {
        char *environment[] = {mark, NULL};
        struct child_options options = {
            .environment = environment, .directory = -1, .out_fd = log, .err_fd = log};
        struct child child = CHILD_INIT;
        struct error err;
        if (spawn("sleep 1000 & echo $! ready; wait", &options, &child, &err) == 0)
            wait_for_text(log, "ready", text);
        raise(SIGKILL);
    }
    waitpid(parent, NULL, 0);
    read_text(log, text);
    cr_assert_eq(sscanf(text, "%d", &grandchild), 1);
    cr_expect_not(is_gone(grandchild), "the parent's death takes its child only");
    cr_expect_eq(child_kill_marked("TAILSLATE_RECORD=tes"), 0, "a part of a mark is another mark");
    cr_expect_geq(child_kill_marked(mark), 1);
    wait_until_gone(grandchild);
}

Test(child, the_last_line_that_says_something_is_found)
{
    static const struct {
        const char *log, *line;
    } cases[] = {
        {"", ""},
        {"\n\n", ""},
        {"one", "one"},
        {"one\ntwo\n", "two"},
        {"one\ntwo\n\n  \n", "two"},
        {"one\nt\x1b[31mwo\x07\n", "t [31mwo "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        FD(fd) = memory();
        char line[CHILD_LAST_LINE_BYTES];
        cr_assert_eq(write(fd, cases[i].log, strlen(cases[i].log)), (ssize_t)strlen(cases[i].log));
        child_last_line(fd, line);
        cr_expect_str_eq(line, cases[i].line, "case %zu: %s", i, line);
    }
}

Test(child, an_endless_last_line_is_cut)
{
    FD(fd) = memory();
    char line[CHILD_LAST_LINE_BYTES], block[8192];
    memset(block, 'x', sizeof block);
    cr_assert_eq(write(fd, block, sizeof block), (ssize_t)sizeof block);
    child_last_line(fd, line);
    cr_expect_eq(strlen(line), CHILD_LAST_LINE_BYTES - 1);
}
