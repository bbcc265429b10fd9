#include "agent/media/limits.h"

#include <errno.h>
#include <string.h>

enum {
    OUTPUT_FLOOR_BYTES = 64 * 1024 * 1024,
    /* Kept free for the records of everything in progress, and for final log lines. */
    RESERVE_BYTES = 64 * 1024 * 1024,
};

int64_t limits_memory_bytes(const struct config *config, int64_t machine_bytes)
{
    if (config->limits.memory_gb > 0)
        return (int64_t)(config->limits.memory_gb * 1e9);
    return machine_bytes / 4 * 3 / config->node.slots;
}

void limits_of(const struct config *config, int64_t machine_bytes, double duration_s,
               int64_t expected_bytes, struct limits *limits)
{
    *limits = (struct limits){
        .stall_ms = (int64_t)(config->transcode.stall_seconds * 1000),
        .memory_bytes = limits_memory_bytes(config, machine_bytes),
        .duration_s = duration_s,
    };
    if (config->limits.wall_factor > 0)
        limits->wall_ms = (int64_t)(config->limits.wall_factor * duration_s * 1000 +
                                    config->limits.wall_floor_minutes * 60 * 1000);
    if (config->limits.output_factor > 0)
        limits->output_bytes = (int64_t)(config->limits.output_factor * (double)expected_bytes) +
                               OUTPUT_FLOOR_BYTES;
    if (config->node.min_free_disk_gb > 0)
        limits->reserve_bytes = RESERVE_BYTES;
}

static bool is_over(int64_t value, int64_t bound)
{
    return bound > 0 && value >= bound;
}

enum limit limits_check(const struct limits *limits, const struct limits_sample *sample)
{
    if (is_over(sample->still_ms, limits->stall_ms))
        return LIMIT_STALL;
    if (is_over(sample->work_ms, limits->wall_ms))
        return LIMIT_WALL;
    if (is_over(sample->memory_bytes, limits->memory_bytes))
        return LIMIT_MEMORY;
    if (is_over(sample->output_bytes, limits->output_bytes))
        return LIMIT_OUTPUT;
    if (sample->free_bytes >= 0 && sample->free_bytes < limits->reserve_bytes)
        return LIMIT_DISK;
    return LIMIT_NONE;
}

int limits_error(enum limit bound, const struct limits *limits, struct error *err)
{
    switch (bound) {
    case LIMIT_NONE:
        break;
    case LIMIT_STALL:
        return error_set(err, ERROR_TEMPORARY, ETIMEDOUT,
                         "the transcoder made no progress for %g s (transcode.stall_seconds)",
                         (double)limits->stall_ms / 1000);
    case LIMIT_WALL:
        return error_set(
            err, ERROR_TEMPORARY, ETIME,
            "the transcoder ran for %.0f s on a video of %.0f s, which is over the limit "
            "(limits.wall_factor, limits.wall_floor_minutes)",
            (double)limits->wall_ms / 1000, limits->duration_s);
    case LIMIT_MEMORY:
        return error_set(err, ERROR_TEMPORARY, ENOMEM,
                         "the transcoder used more than %.1f GB of memory (limits.memory_gb)",
                         (double)limits->memory_bytes / 1e9);
    case LIMIT_OUTPUT:
        return error_set(err, ERROR_PERMANENT, EFBIG,
                         "the output exceeded %.1f GB, far more than its bit rates predict "
                         "(limits.output_factor)",
                         (double)limits->output_bytes / 1e9);
    case LIMIT_DISK:
        return error_set(err, ERROR_TEMPORARY, ENOSPC,
                         "no space left on this node's disk: %lld MB must stay free",
                         (long long)limits->reserve_bytes / 1000000);
    }
    must(false);
    return -1;
}
