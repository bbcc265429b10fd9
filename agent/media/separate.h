/* separate: the pictures of a rendition by themselves, out of the segments that hold both.
 *
 * Browsers and FFmpeg's DASH reader take another audio track only with segments that hold none. The
 * muxer writes the fragments of a segment one track after the other (LADDER_SEPARATE), pictures
 * first: video.m3u8 lists that part of each segment as a byte range, and video_init.mp4 is init.mp4
 * with the picture track alone. No picture is stored twice. */
#ifndef AGENT_SEPARATE_H
#define AGENT_SEPARATE_H

#include "agent/media/box.h"
#include "agent/media/check.h"

/* init.mp4 without any track but this one; written to out, which is as large. Returns its size; 0:
 * it is no such file. Pure. */
size_t separate_init(struct span init, uint32_t track, unsigned char *out);

/* Writes both files of each rendition and takes its bit rates; start_us becomes what browsers take
 * for the start, which do not read the edit list. -1: err TEMPORARY; some segment does
 * not begin with pictures alone. */
int separate_write(int output, struct check *check, struct error *err);

#endif
