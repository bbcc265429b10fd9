/* rates: the bit rates of a rendition, from its segments' sizes and durations. Pure.
 *
 * The peak is that of RFC 8216: the highest rate of any run of adjacent segments whose duration is
 * between half and one and a half target durations. So a last segment of a few frames does not
 * count as a peak. */
#ifndef AGENT_RATES_H
#define AGENT_RATES_H

#include "base/playlist.h"

struct rates {
    int64_t peak_bps, average_bps;
};

/* In whole seconds, for EXT-X-TARGETDURATION: no segment is longer. At least 1. */
int64_t rates_target_s(const struct playlist *playlist);

/* bytes: one number per segment. target_s: the playlist's target duration. */
struct rates rates_measure(const struct playlist *playlist, const int64_t *bytes, int64_t target_s);

#endif
