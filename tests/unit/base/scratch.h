/* scratch: a directory for one test, gone at the end of its scope. */
#ifndef UNIT_SCRATCH_H
#define UNIT_SCRATCH_H

#include "lib/cleanup.h"
#include "lib/durable.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct scratch {
    char path[64];
    int fd;
};

static inline struct scratch scratch_make(void)
{
    struct scratch scratch = {.path = "/tmp/tailslate-unit-XXXXXX"};
    cr_assert(mkdtemp(scratch.path));
    scratch.fd = open(scratch.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_geq(scratch.fd, 0);
    return scratch;
}

static inline void scratch_remove(const struct scratch *scratch)
{
    struct error err;
    FD(parent) = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close(scratch->fd);
    cr_assert_eq(durable_remove_tree(parent, strrchr(scratch->path, '/') + 1, &err), 0, "%s",
                 err.message);
}

#define SCRATCH(name) CLEANUP(scratch_remove) struct scratch name = scratch_make()

/* Not by durable: what the tests put there must not come from what they test. */
static inline void scratch_put(const struct scratch *scratch, const char *name, const void *data,
                               size_t size, mode_t mode)
{
    unlinkat(scratch->fd, name, 0); /* it may be there and read-only */
    FD(fd) = openat(scratch->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0, "%s", name);
    cr_assert_eq(write(fd, data, size), (ssize_t)size);
    cr_assert_eq(fchmod(fd, mode), 0);
}

static inline void scratch_put_text(const struct scratch *scratch, const char *name,
                                    const char *text)
{
    scratch_put(scratch, name, text, strlen(text), 0600);
}

enum { SCRATCH_TEXT_BYTES = 65536 };

/* The content as text, "(none)" where there is no such file. Static: one at a time. */
static inline const char *scratch_get(const struct scratch *scratch, const char *name)
{
    static char text[SCRATCH_TEXT_BYTES];
    FD(fd) = openat(scratch->fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return "(none)";
    ssize_t size = read(fd, text, sizeof text - 1);
    cr_assert_geq(size, 0);
    text[size] = '\0';
    return text;
}

static inline int scratch_count(const struct scratch *scratch)
{
    FD(fd) = openat(scratch->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIRECTORY(list) = fdopendir(fd);
    cr_assert(list);
    steal_fd(&fd);
    int count = -2; /* . and .. */
    while (readdir(list))
        count++;
    return count;
}

#endif
