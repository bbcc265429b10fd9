#include "agent/step/disk.h"

#include "lib/cleanup.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#ifdef TAILSLATE_CRASH_POINTS
/* For tests: they cannot fill and empty a real disk. */
static bool read_pretended(int64_t *free_bytes, int64_t *capacity_bytes)
{
    const char *path = getenv("TAILSLATE_TEST_DISK");
    STREAM(file) = path ? fopen(path, "re") : NULL;
    return file && fscanf(file, "%" SCNd64 " %" SCNd64, free_bytes, capacity_bytes) == 2;
}
#else
static bool read_pretended(int64_t *free_bytes, int64_t *capacity_bytes)
{
    (void)free_bytes;
    (void)capacity_bytes;
    return false;
}
#endif

int disk_space(int dir, int64_t *free_bytes, int64_t *capacity_bytes, struct error *err)
{
    struct statvfs status;
    if (read_pretended(free_bytes, capacity_bytes))
        return 0;
    if (fstatvfs(dir, &status) != 0)
        return error_errno(err, "cannot read the free space of state_dir");
    *free_bytes = (int64_t)status.f_bavail * (int64_t)status.f_frsize;
    *capacity_bytes = (int64_t)status.f_blocks * (int64_t)status.f_frsize;
    return 0;
}

int disk_free_bytes(int dir, int64_t *free_bytes, struct error *err)
{
    int64_t ignored;
    return disk_space(dir, free_bytes, &ignored, err);
}
