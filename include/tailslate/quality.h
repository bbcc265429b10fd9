/* quality: the seven names the wire knows for a rendition, in falling order. Pure. */
#ifndef TAILSLATE_QUALITY_H
#define TAILSLATE_QUALITY_H

#include <stdbool.h>

enum quality {
    QUALITY_2160P,
    QUALITY_1440P,
    QUALITY_1080P,
    QUALITY_720P,
    QUALITY_480P,
    QUALITY_360P,
    QUALITY_ORIGINAL,
    QUALITY_COUNT,
};

/* A set of qualities: bit 1u << quality. */
typedef unsigned quality_set;

const char *quality_name(enum quality quality);
bool quality_parse(const char *name, enum quality *quality); /* exact names only */

/* The rung's short side in pixels and its nominal video bit rate; 0 for `original`. */
int quality_short_side(enum quality quality);
int quality_bitrate_kbit(enum quality quality);

#endif
