#include "process.h"

#include "base/clock.h"
#include "lib/cleanup.h"
#include "lib/error.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* A failed assertion jumps out of the test and leaves behind what the test held: that is no news.
 * The programs under test are asked about their leaks, this executable is not. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return 1;
}

/* environ with env's entries in place of those of the same name; owned, the strings borrowed. */
static const char **merged_environment(const char *const env[])
{
    size_t own = 0, extra = 0;
    while (environ[own])
        own++;
    while (env && env[extra])
        extra++;
    const char **merged = must_calloc(own + extra + 1, sizeof *merged);
    size_t count = 0;
    for (size_t i = 0; i < own; i++) {
        bool is_replaced = false;
        for (size_t j = 0; j < extra && !is_replaced; j++)
            is_replaced = strncmp(environ[i], env[j], strcspn(env[j], "=") + 1) == 0;
        if (!is_replaced)
            merged[count++] = environ[i];
    }
    for (size_t j = 0; j < extra; j++)
        merged[count++] = env[j];
    return merged;
}

/* Between fork and exec: async-signal-safe calls only, the test may have threads. */
static _Noreturn void become(const char *const argv[], const char **env, int log, int out,
                             pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (getppid() == parent && null >= 0 && dup2(null, STDIN_FILENO) >= 0 &&
        dup2(out >= 0 ? out : null, STDOUT_FILENO) >= 0 && dup2(log, STDERR_FILENO) >= 0) {
        close_range(3, UINT_MAX, CLOSE_RANGE_CLOEXEC);
        execvpe(argv[0], (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env);
    }
    _exit(127);
}

struct process *process_start(const char *const argv[], const char *const env[], const char *log,
                              const char *out)
{
    struct process *process = must_calloc(1, sizeof *process);
    snprintf(process->log, sizeof process->log, "%s", log);
    FD(log_fd) = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    cr_assert(log_fd >= 0, "cannot write %s", log);
    FD(out_fd) = -1;
    if (out)
        out_fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    cr_assert(!out || out_fd >= 0, "cannot write %s", out);

    const char **merged = merged_environment(env);
    pid_t parent = getpid();
    process->pid = fork();
    if (process->pid == 0)
        become(argv, merged, log_fd, out_fd, parent);
    free(merged);
    cr_assert(process->pid > 0, "fork failed");
    process->pidfd = (int)syscall(SYS_pidfd_open, process->pid, 0);
    cr_assert(process->pidfd >= 0, "pidfd_open failed");
    fcntl(process->pidfd, F_SETFD, FD_CLOEXEC);
    return process;
}

bool process_ends_within(struct process *process, int64_t timeout_ms)
{
    if (process->is_over)
        return true;
    int64_t deadline = mono_ms() + timeout_ms;
    struct pollfd end = {.fd = process->pidfd, .events = POLLIN};
    int ready = 0;
    do {
        int64_t left_ms = deadline - mono_ms();
        ready = poll(&end, 1, left_ms > 0 ? (int)left_ms : 0);
    } while (ready < 0);
    if (ready == 0)
        return false;
    cr_assert(waitpid(process->pid, &process->status, 0) == process->pid);
    process->is_over = true;
    return true;
}

int process_wait(struct process *process, int64_t timeout_ms)
{
    cr_assert(process_ends_within(process, timeout_ms), "still running after %d ms: see %s",
              (int)timeout_ms, process->log);
    return WIFEXITED(process->status) ? WEXITSTATUS(process->status)
                                      : 128 + WTERMSIG(process->status);
}

void process_signal(const struct process *process, int signal)
{
    cr_assert(!process->is_over, "it is over already: see %s", process->log);
    syscall(SYS_pidfd_send_signal, process->pidfd, signal, NULL, 0);
}

void process_kill(struct process *process)
{
    if (process->is_over)
        return;
    syscall(SYS_pidfd_send_signal, process->pidfd, SIGKILL, NULL, 0);
    process_wait(process, STOP_MS);
}

void process_free(struct process *process)
{
    if (!process)
        return;
    process_kill(process);
    close(process->pidfd);
    free(process);
}

void process_expect(struct process *process, const char *words, int64_t timeout_ms,
                    char line[LINE_BYTES])
{
    enum { LOOK_MS = 500 };
    int64_t deadline = mono_ms() + timeout_ms;
    for (;;) {
        /* Ended is asked first: what it wrote before its end is then found by the look below. */
        bool is_over = process_ends_within(process, 0);
        int64_t left_ms = deadline - mono_ms();
        if (log_wait(process->log, words, left_ms < LOOK_MS ? left_ms : LOOK_MS, line))
            return;
        cr_assert(!is_over, "it ended (status %x) without \"%s\": see %s",
                  (unsigned)process->status, words, process->log);
        cr_assert(mono_ms() < deadline, "no \"%s\" within %d ms in %s", words, (int)timeout_ms,
                  process->log);
    }
}

static char *scratch_file(const char *suffix)
{
    char *path = must_printf("%s/tailslate-run-XXXXXX%s", P_tmpdir, suffix);
    int fd = mkostemps(path, (int)strlen(suffix), O_CLOEXEC);
    cr_assert(fd >= 0, "cannot make %s", path);
    close(fd);
    return path;
}

struct run run_program(const char *const argv[], const char *const env[], int64_t timeout_ms)
{
    TEXT(out) = scratch_file(".out");
    TEXT(err) = scratch_file(".err");
    struct process *process = process_start(argv, env, err, out);
    struct run run = {0};
    bool is_over = process_ends_within(process, timeout_ms);
    if (is_over)
        run.status = process_wait(process, 0);
    process_free(process);
    run.out = file_read(out);
    run.err = file_read(err);
    unlink(out);
    unlink(err);
    cr_assert(is_over, "%s %s still ran after %d ms:\n%s", argv[0], argv[1] ? argv[1] : "",
              (int)timeout_ms, run.err);
    return run;
}

void run_fini(struct run *run)
{
    free(run->out);
    free(run->err);
}

char *file_read(const char *path)
{
    FD(fd) = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status = {0};
    if (fd < 0 || fstat(fd, &status) != 0)
        return must_strdup("");
    size_t size = (size_t)status.st_size, used = 0;
    char *text = must_malloc(size + 1);
    ssize_t got;
    while (used < size && (got = read(fd, text + used, size - used)) > 0)
        used += (size_t)got;
    text[used] = '\0';
    return text;
}

void file_write(const char *path, const char *text, mode_t mode)
{
    FD(fd) = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    cr_assert(fd >= 0, "cannot write %s", path);
    size_t size = strlen(text);
    cr_assert(write(fd, text, size) == (ssize_t)size, "cannot write %s", path);
    cr_assert(fchmod(fd, mode) == 0);
}
