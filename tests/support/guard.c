#include "guard.h"

#include "base/clock.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "process.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME "test-guard"
enum { TAIL_LINES = 60, VICTIMS_MAX = 256, DEATH_MS = 10 * 1000 };

/* Files of /proc have no size to ask for. */
static bool proc_file_names(pid_t pid, const char *file, const char *scratch)
{
    char path[64], text[65536];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    FD(fd) = open(path, O_RDONLY | O_CLOEXEC);
    size_t used = 0;
    ssize_t got;
    while (fd >= 0 && used < sizeof text && (got = read(fd, text + used, sizeof text - used)) > 0)
        used += (size_t)got;
    return memmem(text, used, scratch, strlen(scratch)) != NULL;
}

/* Another guard has the scratch directory of whoever started its test in its environment, and must
 * not die of that: it ends by itself, when it is done. */
static bool is_guard(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    FD(fd) = open(path, O_RDONLY | O_CLOEXEC);
    char name[sizeof NAME] = "";
    return fd >= 0 && read(fd, name, sizeof name - 1) == sizeof name - 1 && strcmp(name, NAME) == 0;
}

static bool belongs(pid_t pid, const char *scratch)
{
    char link[64], target[PATH_BYTES];
    snprintf(link, sizeof link, "/proc/%d/cwd", (int)pid);
    ssize_t size = readlink(link, target, sizeof target - 1);
    target[size > 0 ? size : 0] = '\0';
    return strstr(target, scratch) || proc_file_names(pid, "environ", scratch) ||
           proc_file_names(pid, "cmdline", scratch);
}

static size_t find_victims(const char *scratch, int pidfds[VICTIMS_MAX])
{
    size_t count = 0;
    DIRECTORY(proc) = opendir("/proc");
    for (struct dirent *entry; proc && count < VICTIMS_MAX && (entry = readdir(proc)) != NULL;) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid <= 1 || pid == getpid())
            continue;
        /* Opened before it is judged: the number may be somebody else's a moment later. */
        int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (pidfd >= 0 && belongs(pid, scratch) && !is_guard(pid))
            pidfds[count++] = pidfd;
        else if (pidfd >= 0)
            close(pidfd);
    }
    return count;
}

int guard_kill_all(const char *scratch)
{
    int killed = 0;
    int64_t deadline = mono_ms() + DEATH_MS;
    /* Again until none is found: one of them may just have started another. */
    for (size_t count = 1; count > 0 && mono_ms() < deadline;) {
        int pidfds[VICTIMS_MAX];
        count = find_victims(scratch, pidfds);
        for (size_t i = 0; i < count; i++)
            syscall(SYS_pidfd_send_signal, pidfds[i], SIGKILL, NULL, 0);
        for (size_t i = 0; i < count; i++) {
            struct pollfd end = {.fd = pidfds[i], .events = POLLIN};
            poll(&end, 1, DEATH_MS);
            close(pidfds[i]);
            killed++;
        }
    }
    return killed;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status, (void)type, (void)walk;
    remove(path);
    return 0;
}

static void print_tail(const char *path)
{
    TEXT(text) = file_read(path);
    const char *at = text + strlen(text);
    for (int lines = 0; at > text && lines <= TAIL_LINES; at--)
        lines += at[-1] == '\n';
    dprintf(STDERR_FILENO, "---- %s\n%s\n", path, at);
}

static void print_logs(const char *scratch)
{
    static const char *const directories[] = {"", "/agent/spool/*", "/agent/quarantine/*"};
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
        char pattern[PATH_BYTES];
        glob_t found;
        snprintf(pattern, sizeof pattern, "%s%s/*.log", scratch, directories[i]);
        if (glob(pattern, 0, NULL, &found) == 0) {
            for (size_t j = 0; j < found.gl_pathc; j++)
                print_tail(found.gl_pathv[j]);
            globfree(&found);
        }
    }
}

static _Noreturn void watch(const char *scratch)
{
    /* Nothing of the test stays open here but stderr: its harness waits for ends of pipes. And who
     * reads stderr may be gone before us. */
    sigset_t broken_pipe;
    sigemptyset(&broken_pipe);
    sigaddset(&broken_pipe, SIGPIPE);
    sigprocmask(SIG_BLOCK, &broken_pipe, NULL);
    setsid();
    must(prctl(PR_SET_NAME, NAME) == 0);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(null, STDOUT_FILENO);

    char verdict = 'x';
    while (read(STDIN_FILENO, &verdict, 1) < 0 && errno == EINTR)
        ;
    guard_kill_all(scratch);
    if (verdict != 'w')
        print_logs(scratch);
    if (!getenv("TAILSLATE_TEST_KEEP"))
        nftw(scratch, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    _exit(0);
}

/* The guard is the test's own program, executed again: a thread of the harness may hold the
 * allocator's lock at the moment of the fork, and a forked guard that allocates would wait for it
 * forever. */
__attribute__((constructor)) static void watch_if_asked(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[0], NAME) == 0)
        watch(argv[1]);
}

/* Between the fork and here nothing is allocated. */
static _Noreturn void become_guard(int pipe_end, const char *scratch)
{
    dup2(pipe_end, STDIN_FILENO);
    close_range(3, UINT_MAX, 0);
    execl("/proc/self/exe", NAME, scratch, (char *)NULL);
    _exit(127);
}

void guard_start(struct guard *guard, const char *scratch)
{
    int ends[2];
    cr_assert(pipe2(ends, O_CLOEXEC) == 0);
    guard->pid = fork();
    cr_assert(guard->pid >= 0);
    if (guard->pid == 0)
        become_guard(ends[0], scratch);
    close(ends[0]);
    guard->pipe = ends[1];
}

void guard_end(struct guard *guard)
{
    ssize_t written = write(guard->pipe, "w", 1);
    close(guard->pipe);
    cr_assert(written == 1);
    cr_assert(waitpid(guard->pid, NULL, 0) == guard->pid);
}
