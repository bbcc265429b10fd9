#include "tailslate/quality.h"

#include "lib/error.h"

#include <string.h>

static const struct {
    const char *name;
    int short_side, bitrate_kbit;
} qualities[QUALITY_COUNT] = {
    [QUALITY_2160P] = {"2160p", 2160, 15000}, [QUALITY_1440P] = {"1440p", 1440, 8000},
    [QUALITY_1080P] = {"1080p", 1080, 5000},  [QUALITY_720P] = {"720p", 720, 2500},
    [QUALITY_480P] = {"480p", 480, 1000},     [QUALITY_360P] = {"360p", 360, 600},
    [QUALITY_ORIGINAL] = {"original", 0, 0},
};

const char *quality_name(enum quality quality)
{
    must(quality < QUALITY_COUNT);
    return qualities[quality].name;
}

bool quality_parse(const char *name, enum quality *quality)
{
    for (enum quality at = 0; at < QUALITY_COUNT; at++) {
        if (strcmp(name, qualities[at].name) == 0) {
            *quality = at;
            return true;
        }
    }
    return false;
}

int quality_short_side(enum quality quality)
{
    must(quality < QUALITY_COUNT);
    return qualities[quality].short_side;
}

int quality_bitrate_kbit(enum quality quality)
{
    must(quality < QUALITY_COUNT);
    return qualities[quality].bitrate_kbit;
}
