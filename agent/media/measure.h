/* measure: what the manifests state about a rendition, measured: codecs and bit rates. Pure.
 *
 * A player decides by the CODECS string (RFC 6381) whether it can play a rendition at all, so it is
 * read from the decoder configuration in init.mp4 and not from what the encoder was asked for.
 * Every length of a box is checked; unknown codecs are left out, never guessed.
 *
 * The peak rate is that of RFC 8216: the highest rate of any run of adjacent segments whose
 * duration is between half and one and a half target durations. So a last segment of a few frames
 * does not count as a peak. */
#ifndef AGENT_MEASURE_H
#define AGENT_MEASURE_H

#include "base/message.h"
#include "base/playlist.h"

#include <stddef.h>

enum { CODECS_BYTES = 96, CODECS_INIT_MAX_BYTES = 1024 * 1024 };

struct codecs {
    char text[CODECS_BYTES]; /* "avc1.64001f,mp4a.40.2"; "" if there is no known video codec */
    enum tailslate_codec video;
};

/* How many top-level boxes of this type a file has: the fragments ("moof") of a video. */
size_t measure_count_boxes(const unsigned char *file, size_t size, const char *type);

void measure_codecs(const unsigned char *init, size_t size, struct codecs *codecs);

struct rates {
    int64_t peak_bps, average_bps;
};

/* In whole seconds, for EXT-X-TARGETDURATION: no segment is longer. At least 1. */
int64_t measure_target_s(const struct playlist *playlist);

/* bytes: one number per segment. target_s: the playlist's target duration. */
struct rates measure_rates(const struct playlist *playlist, const int64_t *bytes, int64_t target_s);

#endif
