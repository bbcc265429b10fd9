#include "agent/spool/control_file.h"

#include "base/clock.h"
#include "lib/cleanup.h"
#include "lib/durable.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static const char *const names[CONTROL_COUNT] = {
    [CONTROL_DRAIN] = "drain",
    [CONTROL_PAUSE] = "pause",
    [CONTROL_RETRY] = "retry" CONTROL_SUFFIX,
    [CONTROL_HOLD] = "hold" CONTROL_SUFFIX,
    [CONTROL_QUARANTINE] = "quarantine" CONTROL_SUFFIX,
};

bool control_file_exists(int dir, enum control_file control)
{
    must(control < CONTROL_COUNT);
    return dir >= 0 && durable_exists(dir, names[control]);
}

int control_file_create(int dir, enum control_file control, struct error *err)
{
    char now[WALL_TEXT_BYTES];
    must(control < CONTROL_COUNT);
    wall_format(wall_us(), now);
    TEXT(text) = must_printf("{\"at\":\"%s\",\"uid\":%u}\n", now, (unsigned)getuid());
    return durable_write(dir, names[control], text, strlen(text), err);
}

int control_file_remove(int dir, enum control_file control, struct error *err)
{
    must(control < CONTROL_COUNT);
    return durable_unlink(dir, names[control], err);
}

int64_t control_file_since_us(int dir, enum control_file control)
{
    struct stat status;
    if (fstatat(dir, names[control], &status, AT_SYMLINK_NOFOLLOW) != 0)
        return 0;
    return (int64_t)status.st_mtim.tv_sec * 1000000 + status.st_mtim.tv_nsec / 1000;
}
