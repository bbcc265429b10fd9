/* filter: what is done to the pictures between decoder and encoders: one graph for all renditions.
 * Pure.
 *
 * Interlaced pictures are woven, high dynamic range is mapped where the codec does not keep it, RGB
 * becomes what players expect and is marked as that, the last picture is held while the sound goes
 * on, and the rate is made constant. */
#ifndef AGENT_FILTER_H
#define AGENT_FILTER_H

#include "agent/media/ladder.h"

/* Sound that goes on after the pictures is part of the video: so long the last one is held. 0: it
 * does not. */
double filter_held_s(const struct probe *probe);

/* Pictures a second of the encoded renditions; is that another rate than the source's? */
double filter_fps(const struct probe *probe, const struct config *config);
bool filter_changes_rate(const struct probe *probe, const struct config *config);

bool filter_keeps_hdr(const struct probe *probe, const struct encoder_use *use);
/* The filters that map it, with a comma at the end; "": none. */
const char *filter_tone_map(const struct probe *probe, const struct encoder_use *use);

/* -filter_complex and its graph, with the outputs [v0], [v1], ... in the order of the ladder. */
void filter_push(const struct ladder *ladder, const struct probe *probe,
                 const struct config *config, const struct encoder_use *use, struct argv *argv);

#endif
