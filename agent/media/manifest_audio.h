/* manifest_audio: the audio renditions in master.m3u8, an EXT-X-MEDIA group. Pure.
 *
 * Every rendition contains the first one, so it has no URI. A single one is not a group. Languages
 * and titles come from the source; characters that a playlist cannot contain are replaced. */
#ifndef AGENT_MANIFEST_AUDIO_H
#define AGENT_MANIFEST_AUDIO_H

#include "agent/media/manifest.h"

#include <stdio.h>

#define MANIFEST_GROUP "audio"

struct manifest_group {
    size_t count;                  /* 0: there is no group */
    int64_t peak_bps, average_bps; /* of the one with the highest rate */
};

void manifest_put_group(FILE *out, const struct manifest_audio *audio, size_t count,
                        struct manifest_group *group);

#endif
