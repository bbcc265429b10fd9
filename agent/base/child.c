#include "agent/base/child.h"

#include "base/clock.h"
#include "lib/cleanup.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { LOG_TAIL_BYTES = 2048, ENVIRON_BLOCK_BYTES = 4096, MARKED_ROUNDS_MAX = 8 };

/* ---- between fork and exec: async-signal-safe calls only ------------------------------------- */

struct launch {
    const struct child_options *options;
    char **environment;
    pid_t parent;
    int null_fd, report_fd; /* report_fd: errno of a failed exec; closes by itself on success */
};

static void launch_signals(void)
{
    struct sigaction fallback = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &fallback, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static int launch_descriptors(const struct launch *launch)
{
    const struct child_options *options = launch->options;
    /* Moved above 2 first: one of them may be 0, 1 or 2 itself. */
    int out = fcntl(options->out_fd, F_DUPFD_CLOEXEC, 3);
    int error = fcntl(options->err_fd, F_DUPFD_CLOEXEC, 3);
    if (out < 0 || error < 0 || dup2(launch->null_fd, 0) < 0 || dup2(out, 1) < 0 ||
        dup2(error, 2) < 0)
        return -1;
    /* Everything of ours is CLOEXEC already; a library's descriptor may not be. */
    (void)close_range(3, UINT_MAX, CLOSE_RANGE_CLOEXEC);
    return 0;
}

_Noreturn static void launch_run(const struct launch *launch)
{
    const struct child_options *options = launch->options;
    setpgid(0, 0);
    launch_signals();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* The parent may have died before the line above: then nothing would kill us. */
    if (getppid() != launch->parent)
        _exit(127);
    /* The sandbox comes last: earlier calls may need what it blocks. */
    if ((options->directory < 0 || fchdir(options->directory) == 0) &&
        launch_descriptors(launch) == 0 && sandbox_enter(&options->sandbox) == 0)
        execvpe(options->argv[0], options->argv, launch->environment);
    int number = errno;
    (void)!write(launch->report_fd, &number, sizeof number);
    _exit(127);
}

/* ---- spawn ----------------------------------------------------------------------------------- */

/* Our environment plus the additional strings, which are borrowed. */
static char **merge_environment(char *const *added)
{
    size_t ours = 0, extra = 0;
    while (environ[ours])
        ours++;
    while (added && added[extra])
        extra++;
    must(extra <= CHILD_ENVIRONMENT_MAX);
    char **merged = must_calloc(ours + extra + 1, sizeof *merged);
    size_t count = 0;
    for (size_t i = 0; i < extra; i++)
        merged[count++] = added[i];
    for (size_t i = 0; i < ours; i++)
        merged[count++] = environ[i];
    return merged;
}

/* Waits until the exec has succeeded or failed. */
static int read_report(int fd)
{
    int number = 0;
    ssize_t size;
    do {
        size = read(fd, &number, sizeof number);
    } while (size < 0 && errno == EINTR);
    return size == (ssize_t)sizeof number ? number : 0;
}

static int fork_child(struct launch *launch, struct child *child, struct error *err)
{
    int report[2];
    if (pipe2(report, O_CLOEXEC) < 0)
        return error_errno(err, "pipe");
    FD(report_read) = report[0];
    FD(report_write) = report[1];
    launch->report_fd = report_write;
    launch->parent = getpid();
    pid_t pid = fork();
    if (pid < 0)
        return error_errno(err, "fork");
    if (pid == 0)
        launch_run(launch);
    setpgid(pid, pid); /* both sides do it, so that the order does not matter */
    close(steal_fd(&report_write));
    child->pid = pid;
    child->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    int number = read_report(report_read);
    if (number == 0 && child->pidfd >= 0)
        return 0;
    if (number == 0)
        number = errno;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    if (child->pidfd >= 0)
        close(child->pidfd);
    *child = (struct child)CHILD_INIT;
    errno = number;
    return error_errno(err, "cannot run %s", launch->options->argv[0]);
}

int child_spawn(const struct child_options *options, struct child *child, struct error *err)
{
    must(options->argv && options->argv[0]);
    FD(null_fd) = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null_fd < 0)
        return error_errno(err, "/dev/null");
    struct launch launch = {.options = options, .null_fd = null_fd};
    launch.environment = merge_environment(options->environment);
    int result = fork_child(&launch, child, err);
    free(launch.environment);
    return result;
}

/* ---- wait, stop ------------------------------------------------------------------------------ */

static void reap(struct child *child, struct child_exit *how)
{
    siginfo_t info = {0};
    while (waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED) < 0 && errno == EINTR)
        ;
    how->signalled = info.si_code != CLD_EXITED;
    how->number = info.si_status;
    close(child->pidfd);
    *child = (struct child)CHILD_INIT;
}

bool child_wait(struct child *child, int64_t timeout_ms, struct child_exit *how)
{
    must(child->pid > 0);
    int64_t deadline = mono_ms() + timeout_ms;
    for (;;) {
        int64_t left = deadline - mono_ms();
        struct pollfd poll_fd = {.fd = child->pidfd, .events = POLLIN};
        int wait_ms = left > INT_MAX ? INT_MAX : left > 0 ? (int)left : 0;
        int ready = poll(&poll_fd, 1, wait_ms);
        if (ready > 0)
            break;
        if (ready == 0 && left <= 0)
            return false;
        must(ready == 0 || errno == EINTR);
    }
    /* While it is a zombie, its PID and process group cannot be reused. */
    kill(-child->pid, SIGKILL);
    reap(child, how);
    return true;
}

void child_stop(struct child *child)
{
    struct child_exit how;
    if (child->pid <= 0)
        return;
    kill(-child->pid, SIGTERM);
    kill(-child->pid, SIGCONT); /* a stopped process would not receive it */
    if (child_wait(child, CHILD_TERM_MS, &how))
        return;
    kill(-child->pid, SIGKILL);
    /* SIGKILL takes as long as the kernel needs to free an encoder's memory. */
    while (!child_wait(child, CHILD_TERM_MS, &how))
        ;
}

void child_pause(const struct child *child)
{
    must(child->pid > 0);
    kill(-child->pid, SIGSTOP);
}

void child_unpause(const struct child *child)
{
    must(child->pid > 0);
    kill(-child->pid, SIGCONT);
}

void child_describe(struct child_exit how, char *text, size_t size)
{
    if (how.signalled)
        snprintf(text, size, "signal %d (%s)", how.number, strsignal(how.number));
    else
        snprintf(text, size, "exit status %d", how.number);
}

void child_last_line(int log_fd, char line[CHILD_LAST_LINE_BYTES])
{
    char tail[LOG_TAIL_BYTES + 1];
    struct stat status;
    line[0] = '\0';
    if (fstat(log_fd, &status) < 0)
        return;
    off_t start = status.st_size > LOG_TAIL_BYTES ? status.st_size - LOG_TAIL_BYTES : 0;
    ssize_t size = pread(log_fd, tail, LOG_TAIL_BYTES, start);
    if (size <= 0)
        return;
    while (size > 0 && isspace((unsigned char)tail[size - 1]))
        size--;
    tail[size] = '\0';
    char *last = strrchr(tail, '\n');
    last = last ? last + 1 : tail;
    size_t length = 0;
    for (; length < CHILD_LAST_LINE_BYTES - 1 && last[length]; length++)
        line[length] = iscntrl((unsigned char)last[length]) ? ' ' : last[length];
    line[length] = '\0';
}

/* ---- what a dead step left behind ------------------------------------------------------------ */

static bool environ_holds(const char *pid_name, const char *mark)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%.20s/environ", pid_name);
    FD(fd) = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    /* Our mark is at the front (merge_environment), so the first block is enough. */
    char block[ENVIRON_BLOCK_BYTES];
    ssize_t size = read(fd, block, sizeof block - 1);
    size_t length = strlen(mark);
    for (ssize_t at = 0; at < size;) {
        size_t left = (size_t)(size - at);
        size_t line = strnlen(block + at, left);
        if (line == length && line < left && memcmp(block + at, mark, length) == 0)
            return true;
        at += (ssize_t)line + 1;
    }
    return false;
}

/* 0: not a process directory. */
static pid_t pid_of_name(const char *name)
{
    pid_t pid = 0;
    for (; isdigit((unsigned char)*name) && pid < INT_MAX / 10 - 1; name++)
        pid = pid * 10 + (*name - '0');
    return *name ? 0 : pid;
}

static int kill_marked_once(const char *mark)
{
    DIRECTORY(proc) = opendir("/proc");
    int killed = 0;
    struct dirent *entry;
    while (proc && (entry = readdir(proc))) {
        pid_t pid = pid_of_name(entry->d_name);
        if (pid == 0 || pid == getpid())
            continue;
        /* Open it before inspecting it: then the process that was inspected is the one that is
         * killed. */
        FD(pidfd) = (int)syscall(SYS_pidfd_open, pid, 0);
        if (pidfd < 0 || !environ_holds(entry->d_name, mark))
            continue;
        if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) < 0)
            continue;
        killed++;
        struct pollfd gone = {.fd = pidfd, .events = POLLIN};
        poll(&gone, 1, CHILD_TERM_MS);
    }
    return killed;
}

int child_kill_marked(const char *mark)
{
    int total = 0;
    /* A process may have started another one before it was killed. */
    for (int round = 0; round < MARKED_ROUNDS_MAX; round++) {
        int killed = kill_marked_once(mark);
        total += killed;
        if (killed == 0)
            break;
    }
    return total;
}
