/* make_thumbnail: one picture of a video, and with it the test whether there is any.
 *
 * A video without its thumbnail is better than none; one of which not even the first picture can be
 * decoded is none, and is refused before an encode finds that out in hours. */
#ifndef AGENT_MAKE_THUMBNAIL_H
#define AGENT_MAKE_THUMBNAIL_H

#include "agent/media/encoder.h"
#include "agent/media/probe.h"

struct session;
struct thumbnail {
    struct session *session;
    const struct probe *source;
    const struct encoder_use *use;
    int output;
    bool must_decode; /* by ffmpeg: a command may know better */
};

/* Leaves what is there. -1: no picture decodes (PERMANENT), the claim is lost, the disk is full. */
int make_thumbnail(const struct thumbnail *thumbnail, struct error *err);

#endif
