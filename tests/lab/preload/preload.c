/* Preloaded into agents, steps and verifiers: their clock and their disk, as harm.h says. */
#include "harm.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct harm none, *harm = &none;
static dev_t disk; /* whose files fail: that of the file of harm.h */

/* What the programs start (transcoders, shells) is left alone. */
__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv(HARM_VARIABLE);
    struct stat status;
    if (!path || strncmp(program_invocation_short_name, "tailslate", 9) != 0)
        return;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0)
        return;
    void *shared = mmap(NULL, sizeof *harm, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (shared == MAP_FAILED)
        return;
    disk = status.st_dev;
    harm = shared;
}

/* libc's own, looked up once. */
#define NEXT(name)                                                                                 \
    ({                                                                                             \
        static __typeof__(&name) next;                                                             \
        if (!next)                                                                                 \
            next = (__typeof__(&name))dlsym(RTLD_NEXT, #name);                                     \
        next;                                                                                      \
    })

/* ---- the clock ------------------------------------------------------------------------------- */

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = NEXT(clock_gettime)(clock, now);
    int64_t shift_us = clock == CLOCK_REALTIME ? atomic_load(&harm->shift_us) : 0;
    if (result != 0 || shift_us == 0)
        return result;
    int64_t ns = now->tv_nsec + shift_us % 1000000 * 1000;
    now->tv_sec += shift_us / 1000000 + (ns >= 1000000000) - (ns < 0);
    now->tv_nsec = ns - (ns >= 1000000000) * 1000000000LL + (ns < 0) * 1000000000LL;
    return result;
}

/* ---- the disk -------------------------------------------------------------------------------- */

static bool fails(void)
{
    int32_t left = atomic_load(&harm->disk_left);
    while (left > 0 && !atomic_compare_exchange_weak(&harm->disk_left, &left, left - 1))
        ;
    if (left != 0)
        errno = atomic_load(&harm->disk_errno);
    return left != 0;
}

/* A file of the disk; the log is not, so that it tells what happened. */
static bool fails_for(int fd)
{
    struct stat status;
    return atomic_load(&harm->disk_left) != 0 && fd > STDERR_FILENO && fstat(fd, &status) == 0 &&
           S_ISREG(status.st_mode) && status.st_dev == disk && fails();
}

ssize_t write(int fd, const void *data, size_t size)
{
    return fails_for(fd) ? -1 : NEXT(write)(fd, data, size);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{
    return fails_for(fd) ? -1 : NEXT(pwrite64)(fd, data, size, at);
}

int fsync(int fd)
{
    return fails_for(fd) ? -1 : NEXT(fsync)(fd);
}

int fdatasync(int fd)
{
    return fails_for(fd) ? -1 : NEXT(fdatasync)(fd);
}

static bool makes(const char *path, int flags)
{
    return flags & O_CREAT && strcmp(path, "/dev/null") != 0 && atomic_load(&harm->disk_left) != 0;
}

int openat64(int directory, const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    return makes(path, flags) && fails() ? -1 : NEXT(openat64)(directory, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    return makes(path, flags) && fails() ? -1 : NEXT(open64)(path, flags, mode);
}

int mkdirat(int directory, const char *path, mode_t mode)
{
    return fails() ? -1 : NEXT(mkdirat)(directory, path, mode);
}

int renameat(int from_directory, const char *from, int to_directory, const char *to)
{
    return fails() ? -1 : NEXT(renameat)(from_directory, from, to_directory, to);
}

int rename(const char *from, const char *to)
{
    return fails() ? -1 : NEXT(rename)(from, to);
}
