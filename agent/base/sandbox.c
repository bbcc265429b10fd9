#include "agent/base/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define NATIVE_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define NATIVE_ARCHITECTURE AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define NATIVE_ARCHITECTURE AUDIT_ARCH_PPC64LE
#endif

enum { IO_WHO_PROCESS = 1, IO_CLASS_BEST_EFFORT = 2, IO_CLASS_SHIFT = 13, IO_LOWEST = 7 };

/* ---- the filter ------------------------------------------------------------------------------ */

#ifdef NATIVE_ARCHITECTURE

#define X32_CALLS                                                                                  \
    0x40000000u /* numbers from here on belong to x32; no other architecture has so many */

/* An int: the lower half of the first argument. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define FIRST_ARGUMENT offsetof(struct seccomp_data, args[0])
#else
#define FIRST_ARGUMENT (offsetof(struct seccomp_data, args[0]) + 4)
#endif

#define LOAD(offset)                 BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (offset))
#define UNLESS_EQUAL(value, skipped) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (skipped))
#define ALLOW                        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define REFUSE(code)                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (code))

#define REFUSE_CALL(number, code) UNLESS_EQUAL((number), 1), REFUSE(code)
#define ONLY_UNIX(number)                                                                          \
    UNLESS_EQUAL((number), 4), LOAD(FIRST_ARGUMENT), UNLESS_EQUAL(AF_UNIX, 1), ALLOW, REFUSE(EPERM)

/* ENOSYS for io_uring tells programs to work without it. */
#define FILTER(socket_rule)                                                                        \
    LOAD(offsetof(struct seccomp_data, arch)),                                                     \
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCHITECTURE, 1, 0), REFUSE(EPERM),             \
        LOAD(offsetof(struct seccomp_data, nr)),                                                   \
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_CALLS, 0, 1), REFUSE(EPERM), socket_rule,          \
        ONLY_UNIX(SYS_socketpair), REFUSE_CALL(SYS_io_uring_setup, ENOSYS),                        \
        REFUSE_CALL(SYS_io_uring_enter, ENOSYS), REFUSE_CALL(SYS_io_uring_register, ENOSYS),       \
        REFUSE_CALL(SYS_ptrace, EPERM), REFUSE_CALL(SYS_process_vm_readv, EPERM),                  \
        REFUSE_CALL(SYS_process_vm_writev, EPERM), REFUSE_CALL(SYS_pidfd_getfd, EPERM), ALLOW

static const struct sock_filter closed[] = {FILTER(REFUSE_CALL(SYS_socket, EPERM))};
static const struct sock_filter local[] = {FILTER(ONLY_UNIX(SYS_socket))};

/* SPEC_ALLOW: otherwise older kernels slow every filtered process down, to close a side channel
 * that does not exist between a transcoder and itself. */
static int install(const struct sock_filter *filter, unsigned short count)
{
    struct sock_fprog program = {.len = count, .filter = (struct sock_filter *)filter};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program) ==
        0)
        return 0;
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

bool sandbox_can_filter(void)
{
    unsigned action = SECCOMP_RET_ERRNO;
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

static int close_network(enum sandbox_network network)
{
    if (network == SANDBOX_OPEN)
        return 0;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    if (!sandbox_can_filter())
        return 0;
    return network == SANDBOX_CLOSED ? install(closed, sizeof closed / sizeof closed[0])
                                     : install(local, sizeof local / sizeof local[0]);
}

#else /* architecture not supported: `check` says that nothing is filtered */

bool sandbox_can_filter(void)
{
    return false;
}

static int close_network(enum sandbox_network network)
{
    return network == SANDBOX_OPEN ? 0 : prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

#endif

/* ---- limits ---------------------------------------------------------------------------------- */

static void lower(int resource, int64_t value)
{
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)resource, &limit) < 0)
        return;
    rlim_t wanted = (rlim_t)value;
    if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < wanted)
        wanted = limit.rlim_max;
    limit = (struct rlimit){.rlim_cur = wanted, .rlim_max = wanted};
    setrlimit((__rlimit_resource_t)resource, &limit);
}

/* When memory runs out, the kernel should kill the transcoder and not the agent. */
static void offer_to_the_oom_killer(void)
{
    static const char score[] = "500";
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)!write(fd, score, sizeof score - 1);
    close(fd);
}

int sandbox_enter(const struct sandbox *sandbox)
{
    lower(RLIMIT_CORE, 0);
    if (sandbox->file_limit_bytes > 0)
        lower(RLIMIT_FSIZE, sandbox->file_limit_bytes);
    if (sandbox->open_files > 0)
        lower(RLIMIT_NOFILE, sandbox->open_files);
    if (sandbox->data_limit_bytes > 0)
        lower(RLIMIT_DATA, sandbox->data_limit_bytes);
    if (sandbox->nice != 0)
        setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + sandbox->nice);
    if (sandbox->is_io_low)
        syscall(SYS_ioprio_set, IO_WHO_PROCESS, 0,
                IO_CLASS_BEST_EFFORT << IO_CLASS_SHIFT | IO_LOWEST);
    offer_to_the_oom_killer();
    return close_network(sandbox->network);
}
