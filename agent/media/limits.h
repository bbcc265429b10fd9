/* limits: limits on a transcode's time, size, memory and inactivity, and the errors when one is
 * exceeded. Pure.
 *
 * Time is working time: pauses do not count. Each limit is a limit on damage, not a forecast: a
 * transcode that reaches one has gone wrong, or this node is too small for it. Another attempt may
 * succeed on another node or at another time; only an output far over its bit rates is caused by
 * the video itself and would be so on every node. */
#ifndef AGENT_LIMITS_H
#define AGENT_LIMITS_H

#include "agent/base/config.h"
#include "lib/error.h"

enum limit { LIMIT_NONE, LIMIT_STALL, LIMIT_WALL, LIMIT_MEMORY, LIMIT_OUTPUT, LIMIT_DISK };

struct limits {
    int64_t stall_ms, wall_ms;                         /* 0: no limit */
    int64_t memory_bytes, output_bytes, reserve_bytes; /* 0: no limit */
    double duration_s;
};

struct limits_sample {
    int64_t still_ms, work_ms; /* since the last progress; since the start */
    int64_t memory_bytes, output_bytes;
    int64_t free_bytes; /* free disk space; -1: unknown */
};

/* expected_bytes: the size that the bit rates predict. */
void limits_of(const struct config *config, int64_t machine_bytes, double duration_s,
               int64_t expected_bytes, struct limits *limits);
/* For one transcoder. */
int64_t limits_memory_bytes(const struct config *config, int64_t machine_bytes);

enum limit limits_check(const struct limits *limits, const struct limits_sample *sample);

/* -1, with a reason for people. code: ETIMEDOUT, ETIME, ENOMEM, EFBIG, ENOSPC. */
int limits_error(enum limit bound, const struct limits *limits, struct error *err);

#endif
