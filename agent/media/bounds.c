#include "agent/media/bounds.h"

#include <errno.h>
#include <string.h>

enum {
    OUTPUT_FLOOR_BYTES = 64 * 1024 * 1024,
    /* Kept free for the records of everything in progress, and for final log lines. */
    RESERVE_BYTES = 64 * 1024 * 1024,
};

int64_t bounds_memory_bytes(const struct config *config, int64_t machine_bytes)
{
    if (config->limits.memory_gb > 0)
        return (int64_t)(config->limits.memory_gb * 1e9);
    return machine_bytes / 4 * 3 / config->node.slots;
}

void bounds_of(const struct config *config, int64_t machine_bytes, double duration_s,
               int64_t expected_bytes, struct bounds *bounds)
{
    *bounds = (struct bounds){
        .stall_ms = (int64_t)(config->transcode.stall_seconds * 1000),
        .memory_bytes = bounds_memory_bytes(config, machine_bytes),
        .duration_s = duration_s,
    };
    if (config->limits.wall_factor > 0)
        bounds->wall_ms = (int64_t)(config->limits.wall_factor * duration_s * 1000 +
                                    config->limits.wall_floor_minutes * 60 * 1000);
    if (config->limits.output_factor > 0)
        bounds->output_bytes = (int64_t)(config->limits.output_factor * (double)expected_bytes) +
                               OUTPUT_FLOOR_BYTES;
    if (config->node.min_free_disk_gb > 0)
        bounds->reserve_bytes = RESERVE_BYTES;
}

static bool is_over(int64_t value, int64_t bound)
{
    return bound > 0 && value >= bound;
}

enum bound bounds_check(const struct bounds *bounds, const struct bounds_sample *sample)
{
    if (is_over(sample->still_ms, bounds->stall_ms))
        return BOUND_STALL;
    if (is_over(sample->work_ms, bounds->wall_ms))
        return BOUND_WALL;
    if (is_over(sample->memory_bytes, bounds->memory_bytes))
        return BOUND_MEMORY;
    if (is_over(sample->output_bytes, bounds->output_bytes))
        return BOUND_OUTPUT;
    if (sample->free_bytes >= 0 && sample->free_bytes < bounds->reserve_bytes)
        return BOUND_DISK;
    return BOUND_NONE;
}

int bounds_error(enum bound bound, const struct bounds *bounds, struct error *err)
{
    switch (bound) {
    case BOUND_NONE:
        break;
    case BOUND_STALL:
        return error_set(err, ERROR_TEMPORARY, ETIMEDOUT,
                         "the transcoder made no progress for %g s (transcode.stall_seconds)",
                         (double)bounds->stall_ms / 1000);
    case BOUND_WALL:
        return error_set(
            err, ERROR_TEMPORARY, ETIME,
            "the transcoder ran for %.0f s on a video of %.0f s, which is over the limit "
            "(limits.wall_factor, limits.wall_floor_minutes)",
            (double)bounds->wall_ms / 1000, bounds->duration_s);
    case BOUND_MEMORY:
        return error_set(err, ERROR_TEMPORARY, ENOMEM,
                         "the transcoder used more than %.1f GB of memory (limits.memory_gb)",
                         (double)bounds->memory_bytes / 1e9);
    case BOUND_OUTPUT:
        return error_set(err, ERROR_PERMANENT, EFBIG,
                         "the output exceeded %.1f GB, far more than its bit rates predict "
                         "(limits.output_factor)",
                         (double)bounds->output_bytes / 1e9);
    case BOUND_DISK:
        return error_set(err, ERROR_TEMPORARY, ENOSPC,
                         "no space left on this node's disk: %lld MB must stay free",
                         (long long)bounds->reserve_bytes / 1000000);
    }
    must(false);
    return -1;
}
