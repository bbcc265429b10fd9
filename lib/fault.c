#include "lib/fault.h"

#ifdef TAILSLATE_CRASH_POINTS

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* unlink makes it happen once, among all processes that get here at the same time. */
static bool take_flag(const char *path, size_t size)
{
    char flag[PATH_MAX];
    return snprintf(flag, sizeof flag, "%.*s", (int)size, path) < PATH_MAX && unlink(flag) == 0;
}

/* The first entry of this kind and name whose flag file still exists. */
static bool is_ordered(const char *kind, const char *name)
{
    char wanted[NAME_MAX + 16];
    const char *at = getenv("TAILSLATE_FAULT");
    size_t size = (size_t)snprintf(wanted, sizeof wanted, "%s:%s:", kind, name);
    for (size_t length; at && *at; at += length + (at[length] == ',')) {
        length = strcspn(at, ",");
        if (length > size && strncmp(at, wanted, size) == 0 && take_flag(at + size, length - size))
            return true;
    }
    return false;
}

bool fault_strikes(enum fault fault, const char *name)
{
    static const struct {
        enum fault fault;
        const char *kind;
        int code;
    } kinds[] = {
        {FAULT_FSYNC, "fsync", EIO},     {FAULT_FSYNC, "full", ENOSPC},
        {FAULT_RENAME, "rename", EIO},   {FAULT_UNLINK, "unlink", EIO},
        {FAULT_DIRSYNC, "dirsync", EIO},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i].fault == fault && is_ordered(kinds[i].kind, name)) {
            errno = kinds[i].code;
            return true;
        }
    return false;
}

#endif
