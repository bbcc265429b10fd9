/* filter: the filters between the decoder and the encoders: one graph for all renditions. Pure.
 *
 * Deinterlaces, tone-maps HDR if the codec does not keep it, converts RGB to what players expect
 * and tags it, holds the last frame while the audio continues, and makes the frame rate constant.
 */
#ifndef AGENT_FILTER_H
#define AGENT_FILTER_H

#include "agent/media/ladder.h"

/* Audio that continues after the video's end is part of the video: how long the last frame is held.
 * 0: not at all. */
double filter_held_s(const struct probe *probe);

/* The frame rate of the encoded renditions; does it differ from the source's? */
double filter_fps(const struct probe *probe, const struct config *config);
bool filter_changes_rate(const struct probe *probe, const struct config *config);

bool filter_keeps_hdr(const struct probe *probe, const struct encoder_use *use);
/* The tone-mapping filters, with a trailing comma; "": none. */
const char *filter_tone_map(const struct probe *probe, const struct encoder_use *use);

/* -filter_complex and its graph, with the outputs [v0], [v1], ... in the order of the ladder. */
void filter_push(const struct ladder *ladder, const struct probe *probe,
                 const struct config *config, const struct encoder_use *use, struct argv *argv);

#endif
