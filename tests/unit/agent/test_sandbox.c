/* Each filter in a process of its own, that tells by its exit status what the kernel said. */
#include "agent/base/child.h"
#include "agent/base/sandbox.h"
#include "lib/cleanup.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WENT_WELL = 0, NOT_ENTERED = 255, DEADLINE_MS = 10 * 1000 };

struct call {
    const char *name;
    long number, first, second, third;
};

/* errno of a call within the sandbox; WENT_WELL where there was none. */
static int number_within(enum sandbox_network network, const struct call *call)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct sandbox sandbox = {.network = network};
        if (sandbox_enter(&sandbox) < 0)
            _exit(NOT_ENTERED);
        errno = 0;
        long result = syscall(call->number, call->first, call->second, call->third, 0, 0, 0);
        _exit(result < 0 ? errno : WENT_WELL);
    }
    int status = 0;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status), "%s: the child was killed", call->name);
    return WEXITSTATUS(status);
}

static const struct {
    struct call call;
    int closed, local;
} rules[] = {
    {{"an IPv4 stream", SYS_socket, AF_INET, SOCK_STREAM, 0}, EPERM, EPERM},
    {{"an IPv6 datagram", SYS_socket, AF_INET6, SOCK_DGRAM, 0}, EPERM, EPERM},
    {{"a raw packet", SYS_socket, AF_PACKET, SOCK_RAW, 0}, EPERM, EPERM},
    {{"netlink", SYS_socket, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE}, EPERM, EPERM},
    {{"the host of a virtual machine", SYS_socket, AF_VSOCK, SOCK_STREAM, 0}, EPERM, EPERM},
    {{"a local socket", SYS_socket, AF_UNIX, SOCK_STREAM, 0}, EPERM, WENT_WELL},
    {{"an IPv4 pair", SYS_socketpair, AF_INET, SOCK_STREAM, 0}, EPERM, EPERM},
    {{"io_uring_setup", SYS_io_uring_setup, 1, 0, 0}, ENOSYS, ENOSYS},
    {{"io_uring_enter", SYS_io_uring_enter, -1, 0, 0}, ENOSYS, ENOSYS},
    {{"io_uring_register", SYS_io_uring_register, -1, 0, 0}, ENOSYS, ENOSYS},
    {{"ptrace", SYS_ptrace, 0, 0, 0}, EPERM, EPERM},
    {{"another's memory", SYS_process_vm_readv, 1, 0, 0}, EPERM, EPERM},
    {{"another's descriptor", SYS_pidfd_getfd, -1, 0, 0}, EPERM, EPERM},
    {{"its own id", SYS_getpid, 0, 0, 0}, WENT_WELL, WENT_WELL},
#ifdef __x86_64__
    {{"x32's socket", 0x40000000 + SYS_socket, AF_INET, SOCK_STREAM, 0}, EPERM, EPERM},
    {{"x32's getpid", 0x40000000 + SYS_getpid, 0, 0, 0}, EPERM, EPERM},
#endif
};

Test(sandbox, no_call_leads_to_the_network)
{
    cr_assert(sandbox_can_filter(), "this kernel has no seccomp: the promise does not hold here");
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        const char *name = rules[i].call.name;
        int closed = number_within(SANDBOX_CLOSED, &rules[i].call);
        int local = number_within(SANDBOX_LOCAL, &rules[i].call);
        cr_expect_eq(closed, rules[i].closed, "closed, %s: %s", name, strerror(closed));
        cr_expect_eq(local, rules[i].local, "local, %s: %s", name, strerror(local));
    }
}

Test(sandbox, an_open_one_filters_nothing)
{
    const struct call call = {"a stream", SYS_socket, AF_INET, SOCK_STREAM, 0};
    cr_expect_eq(number_within(SANDBOX_OPEN, &call), WENT_WELL);
}

#ifdef __x86_64__
/* The 32-bit gate of a 64-bit process: socketcall(2) has another number there. */
Test(sandbox, calls_of_another_architecture_are_refused)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct sandbox sandbox = {.network = SANDBOX_CLOSED};
        long result = 20; /* getpid of i386 */
        if (sandbox_enter(&sandbox) < 0)
            _exit(NOT_ENTERED);
        __asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
        _exit(result == -EPERM ? EPERM : WENT_WELL);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    /* A kernel without the 32-bit gate ends the process, which is as good. */
    cr_expect(WIFSIGNALED(status) || WEXITSTATUS(status) == EPERM, "status %x", status);
}
#endif

static void run(const char *script, struct sandbox sandbox, char text[1024])
{
    char shell[] = "bash", flag[] = "-c";
    TEXT(words) = must_strdup(script);
    char *argv[] = {shell, flag, words, NULL};
    FD(log) = memfd_create("log", MFD_CLOEXEC);
    struct child_options options = {
        .argv = argv, .directory = -1, .out_fd = log, .err_fd = log, .sandbox = sandbox};
    struct child child = CHILD_INIT;
    struct child_exit how;
    struct error err;
    cr_assert_eq(child_spawn(&options, &child, &err), 0, "%s", err.message);
    cr_assert(child_wait(&child, DEADLINE_MS, &how));
    ssize_t size = pread(log, text, 1023, 0);
    cr_assert_geq(size, 0);
    text[size] = '\0';
}

Test(sandbox, a_program_and_what_it_starts_have_no_network)
{
    char text[1024];
    run("bash -c 'exec 3<>/dev/tcp/127.0.0.1/9' 2>&1", (struct sandbox){0}, text);
    cr_expect(strstr(text, "Operation not permitted"), "%s", text);
    run("bash -c 'exec 3<>/dev/tcp/127.0.0.1/9' 2>&1", (struct sandbox){.network = SANDBOX_OPEN},
        text);
    cr_expect_not(strstr(text, "Operation not permitted"), "%s", text);
}

Test(sandbox, no_cores_few_files_no_new_privileges_and_the_first_to_go)
{
    char text[1024], expected[64];
    struct rlimit cores = {1 << 20, 1 << 20};
    cr_assert_eq(setrlimit(RLIMIT_CORE, &cores), 0, "cores are off here anyway: nothing is tested");
    run("ulimit -c; ulimit -n; ulimit -f; grep NoNewPrivs /proc/self/status | tr -d '\\t '; "
        "cat /proc/self/oom_score_adj; nice",
        (struct sandbox){.open_files = 64, .file_limit_bytes = 1 << 20, .nice = 3}, text);
    snprintf(expected, sizeof expected, "0\n64\n1024\nNoNewPrivs:1\n500\n%d\n",
             getpriority(PRIO_PROCESS, 0) + 3);
    cr_expect_str_eq(text, expected, "%s", text);
}

Test(sandbox, the_disk_can_wait)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct sandbox sandbox = {.is_io_low = true};
        _exit(sandbox_enter(&sandbox) < 0 || syscall(SYS_ioprio_get, 1, 0) != (2 << 13 | 7));
    }
    int status = 0;
    waitpid(pid, &status, 0);
    cr_expect_eq(status, 0);
}
