/* quality: the seven names that the wire has for a rendition, largest first. Pure. */
#ifndef TAILSLATE_QUALITY_H
#define TAILSLATE_QUALITY_H

#include <stdbool.h>

enum tailslate_quality {
    TAILSLATE_QUALITY_2160P,
    TAILSLATE_QUALITY_1440P,
    TAILSLATE_QUALITY_1080P,
    TAILSLATE_QUALITY_720P,
    TAILSLATE_QUALITY_480P,
    TAILSLATE_QUALITY_360P,
    TAILSLATE_QUALITY_ORIGINAL,
    TAILSLATE_QUALITY_COUNT,
};

/* A set of qualities: bit 1u << quality. */
typedef unsigned tailslate_quality_set;

const char *tailslate_quality_name(enum tailslate_quality quality);
bool tailslate_quality_parse(const char *name,
                             enum tailslate_quality *quality); /* exact names only */

/* The rendition's short side in pixels and its nominal video bit rate; 0 for `original`. */
int tailslate_quality_short_side(enum tailslate_quality quality);
int tailslate_quality_bitrate_kbit(enum tailslate_quality quality);

#endif
