/* pipeline_thumbnail: one frame of a video as its thumbnail, which also tests whether it has frames
 * at all.
 *
 * A video without a thumbnail is better than none. If not even the first frame can be decoded,
 * there is no video, and it is refused now instead of after hours of encoding. */
#ifndef AGENT_PIPELINE_THUMBNAIL_H
#define AGENT_PIPELINE_THUMBNAIL_H

#include "agent/media/encoder.h"
#include "agent/media/probe.h"

struct session;
struct thumbnail {
    struct session *session;
    const struct probe *source;
    const struct encoder_use *use;
    int output;
    bool must_decode; /* by ffmpeg: a command may be able to decode it */
};

/* Keeps an existing file. -1: no frame can be decoded (PERMANENT), the claim is lost, or the disk
 * is full. */
int pipeline_thumbnail(const struct thumbnail *thumbnail, struct error *err);

#endif
