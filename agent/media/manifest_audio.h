/* manifest_audio: the choices of sound in master.m3u8, an EXT-X-MEDIA group. Pure.
 *
 * The first choice is in every rendition and has no URI. One choice alone is no group. Languages
 * and titles come from the source: what a playlist cannot hold is replaced. */
#ifndef AGENT_MANIFEST_AUDIO_H
#define AGENT_MANIFEST_AUDIO_H

#include "agent/media/manifest.h"

#include <stdio.h>

#define MANIFEST_GROUP "audio"

struct manifest_group {
    size_t count;                  /* 0: there is no group */
    int64_t peak_bps, average_bps; /* of the largest */
};

void manifest_put_group(FILE *out, const struct manifest_audio *audio, size_t count,
                        struct manifest_group *group);

#endif
