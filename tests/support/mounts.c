#include "mounts.h"

#include "lib/cleanup.h"
#include "lib/error.h"
#include "process.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static void map(const char *file, unsigned id)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/%s", file);
    FD(fd) = open(path, O_WRONLY | O_CLOEXEC);
    must(fd >= 0 && dprintf(fd, "0 %u 1", id) > 0);
}

/* Before any thread exists, without which a user namespace cannot be had; and before the guard,
 * which is this program too, begins its watch. */
__attribute__((constructor(200))) static void own_namespace(void)
{
    unsigned user = geteuid(), group = getegid();
    must(unshare(CLONE_NEWNS | (user ? CLONE_NEWUSER : 0)) == 0);
    if (user) {
        FD(fd) = open("/proc/self/setgroups", O_WRONLY | O_CLOEXEC);
        must(fd >= 0 && write(fd, "deny", 4) == 4);
        map("uid_map", user);
        map("gid_map", group);
    }
    must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
}

void mounts_memory(const char *path, const char *size)
{
    char options[64];
    snprintf(options, sizeof options, "size=%s,mode=700", size);
    cr_assert_eq(mount("tmpfs", path, "tmpfs", 0, options), 0, "%s: %s", path, strerror(errno));
}

void mounts_bind(const char *from, const char *path)
{
    cr_assert_eq(mount(from, path, NULL, MS_BIND, NULL), 0, "%s: %s", path, strerror(errno));
}

void mounts_end(const char *path)
{
    cr_assert_eq(umount2(path, MNT_DETACH), 0, "%s: %s", path, strerror(errno));
}

void mounts_fill(const char *ballast)
{
    static char block[1 << 16];
    FD(fd) = open(ballast, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    cr_assert(fd >= 0);
    for (size_t size = sizeof block; size > 0;)
        if (write(fd, block, size) < 0) {
            cr_assert_eq(errno, ENOSPC);
            size /= 2;
        }
}
