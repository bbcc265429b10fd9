/* bounds: how long, how large, how still a transcode may be, and what is said when it was too much.
 * Pure.
 *
 * Time is time at work: a paused transcoder is none the slower. Each limit is a bound on damage and
 * not a forecast: a transcode that reaches one has gone wrong, or this node is too small for it.
 * Another try may help, on another node or at another hour; only an output far over its bit rates
 * is the film's own doing and would be so everywhere. */
#ifndef AGENT_BOUNDS_H
#define AGENT_BOUNDS_H

#include "agent/base/config.h"
#include "lib/error.h"

enum bound { BOUND_NONE, BOUND_STALL, BOUND_WALL, BOUND_MEMORY, BOUND_OUTPUT, BOUND_DISK };

struct bounds {
    int64_t stall_ms, wall_ms;                         /* 0: none */
    int64_t memory_bytes, output_bytes, reserve_bytes; /* 0: none */
    double duration_s;
};

struct bounds_sample {
    int64_t still_ms, work_ms; /* since it last moved; since it began */
    int64_t memory_bytes, output_bytes;
    int64_t free_bytes; /* on the disk; -1: not known */
};

/* expected_bytes: what the bit rates make of the film. */
void bounds_of(const struct config *config, int64_t machine_bytes, double duration_s,
               int64_t expected_bytes, struct bounds *bounds);
/* Of one transcoder. */
int64_t bounds_memory_bytes(const struct config *config, int64_t machine_bytes);

enum bound bounds_check(const struct bounds *bounds, const struct bounds_sample *sample);

/* -1, with the reason for people. code: ETIMEDOUT, ETIME, ENOMEM, EFBIG, ENOSPC. */
int bounds_error(enum bound bound, const struct bounds *bounds, struct error *err);

#endif
