#include "agent/step/disk.h"

#include "base/log.h"
#include "lib/cleanup.h"

#include <errno.h>
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

/* ---- waiting --------------------------------------------------------------------------------- */

enum { CHECK_MS = 1000 };

static int64_t reserve_bytes(const struct session *session)
{
    return (int64_t)(session->config->node.min_free_disk_gb * 1e9);
}

static int wait_for(struct session *session, int64_t need_bytes, struct error *err)
{
    bool is_told = false;
    for (;;) {
        int64_t free_bytes = 0, capacity_bytes = 0, reserve = reserve_bytes(session);
        if (disk_space(session->dir, &free_bytes, &capacity_bytes, err) != 0)
            return -1;
        if (free_bytes - reserve >= need_bytes)
            return 0;
        if (capacity_bytes - reserve < need_bytes)
            return error_set(err, ERROR_TEMPORARY, ENOSPC,
                             "it needs %.1f GB, but this node's disk has a capacity of %.1f GB",
                             (double)need_bytes / 1e9, (double)capacity_bytes / 1e9);
        if (session->lost != TAILSLATE_PROBLEM_NONE)
            return error_set(err, ERROR_TEMPORARY, ECANCELED, "the claim is lost");
        if (!is_told) {
            log_warning("step.waiting_for_disk", LOG_INT("need_bytes", need_bytes),
                        LOG_INT("free_bytes", free_bytes), LOG_INT("reserve_bytes", reserve));
            record_note_waiting(session->dir, need_bytes);
        }
        is_told = true;
        session_wait(session, NULL, 0, CHECK_MS);
    }
}

int disk_wait(struct session *session, int64_t need_bytes, struct error *err)
{
    int result = wait_for(session, need_bytes, err);
    record_note_waiting(session->dir, 0);
    return result;
}
