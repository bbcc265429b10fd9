/* rates: the bit rates of a rendition, from its segments' bytes and durations. Pure.
 *
 * The peak is RFC 8216's: the highest of any run of neighbouring segments that is between half and
 * one and a half target durations long. A last segment of a few frames makes no peak. */
#ifndef AGENT_RATES_H
#define AGENT_RATES_H

#include "base/playlist.h"

struct rates {
    int64_t peak_bps, average_bps;
};

/* In whole seconds, as EXT-X-TARGETDURATION has it: no segment is longer. At least 1. */
int64_t rates_target_s(const struct playlist *playlist);

/* bytes: one number a segment. target_s: what the playlist says, or will say. */
struct rates rates_measure(const struct playlist *playlist, const int64_t *bytes, int64_t target_s);

#endif
