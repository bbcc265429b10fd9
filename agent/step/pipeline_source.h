/* pipeline_source: short runs of ffmpeg on the source before anything is encoded.
 *
 * One frame of the video becomes its thumbnail, which also tests whether it has frames at all: a
 * video without a thumbnail is better than none, but if not even the first frame can be decoded,
 * there is no video, and it is refused now instead of after hours of encoding.
 *
 * The first seconds are copied as a test whether this ffmpeg can copy the source's streams into MP4
 * at all: one ffmpeg makes all renditions, and if the muxer refuses the copy (8000 Hz MP3, a header
 * that never comes), the encoded ones would be lost with it. */
#ifndef AGENT_PIPELINE_SOURCE_H
#define AGENT_PIPELINE_SOURCE_H

#include "agent/api/session.h"
#include "agent/media/encoder.h"
#include "agent/media/probe.h"

#include "tailslate/warnings.h"

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

enum { COPY_TEST_LIMIT_MS = 60 * 1000 };

/* Sets source->uncopyable, with a warning. Does nothing if no copy is wanted. -1: the claim is lost
 * (err->code ECANCELED). */
int pipeline_test_copy(struct session *session, const char *path, struct probe *source,
                       struct tailslate_warnings *warnings, struct error *err);

#endif
