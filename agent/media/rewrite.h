/* rewrite: what is changed in a checked output.
 *
 * One EXT-X-TARGETDURATION in all playlists of a video: RFC 8216 (6.2.4) requires the same value in
 * every rendition, and no longer segment. ffmpeg rounds each playlist's own to the nearest second:
 * 6.4 s with a target of 6, 0.4 s with a target of 0.
 *
 * The video of a rendition by itself, out of the segments that contain both: browsers and FFmpeg's
 * DASH reader accept an alternate audio track only with segments that contain no audio. The muxer
 * writes the fragments of a segment one track after the other (LADDER_SEPARATE), video first:
 * video.m3u8 lists that part of each segment as a byte range, and video_init.mp4 is init.mp4 with
 * only the video track. No frame is stored twice. */
#ifndef AGENT_REWRITE_H
#define AGENT_REWRITE_H

#include "agent/media/box.h"
#include "agent/media/check.h"

/* output: as in check.h. Writes only what differs, durably. */
int rewrite_target(int output, const struct check *check, struct error *err);

/* The part that accesses no file: text with its target replaced, owned; NULL: it is already right,
 * or there is no such line. */
char *rewrite_target_text(const char *text, int64_t target_s);

/* init.mp4 with only this track; written to out, which is as large. Returns its size; 0: it is not
 * a valid init.mp4. Pure. */
size_t rewrite_video_init(struct span init, uint32_t track, unsigned char *out);

/* Writes both files of each rendition and measures its bit rates; sets start_us to the start as
 * browsers see it, which ignore the edit list. -1: err TEMPORARY; some segment does not begin with
 * video only. */
int rewrite_video_only(int output, struct check *check, struct error *err);

#endif
