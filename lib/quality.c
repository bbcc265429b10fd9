#include "tailslate/quality.h"

#include "lib/error.h"

#include <string.h>

static const struct {
    const char *name;
    int short_side, bitrate_kbit;
} qualities[TAILSLATE_QUALITY_COUNT] = {
    [TAILSLATE_QUALITY_2160P] = {"2160p", 2160, 15000},
    [TAILSLATE_QUALITY_1440P] = {"1440p", 1440, 8000},
    [TAILSLATE_QUALITY_1080P] = {"1080p", 1080, 5000},
    [TAILSLATE_QUALITY_720P] = {"720p", 720, 2500},
    [TAILSLATE_QUALITY_480P] = {"480p", 480, 1000},
    [TAILSLATE_QUALITY_360P] = {"360p", 360, 600},
    [TAILSLATE_QUALITY_ORIGINAL] = {"original", 0, 0},
};

const char *tailslate_quality_name(enum tailslate_quality quality)
{
    must(quality < TAILSLATE_QUALITY_COUNT);
    return qualities[quality].name;
}

bool tailslate_quality_parse(const char *name, enum tailslate_quality *quality)
{
    for (enum tailslate_quality at = 0; at < TAILSLATE_QUALITY_COUNT; at++) {
        if (strcmp(name, qualities[at].name) == 0) {
            *quality = at;
            return true;
        }
    }
    return false;
}

int tailslate_quality_short_side(enum tailslate_quality quality)
{
    must(quality < TAILSLATE_QUALITY_COUNT);
    return qualities[quality].short_side;
}

int tailslate_quality_bitrate_kbit(enum tailslate_quality quality)
{
    must(quality < TAILSLATE_QUALITY_COUNT);
    return qualities[quality].bitrate_kbit;
}
