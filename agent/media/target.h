/* target: one EXT-X-TARGETDURATION in all playlists of a video.
 *
 * RFC 8216 (6.2.4) requires the same value in every rendition, and no longer segment. ffmpeg rounds
 * each playlist's own to the nearest second: 6.4 s with a target of 6, 0.4 s with a target of 0. */
#ifndef AGENT_TARGET_H
#define AGENT_TARGET_H

#include "agent/media/check.h"

/* output: as in check.h. Writes only what differs, durably. */
int target_write(int output, const struct check *check, struct error *err);

/* The part that accesses no file: text with its target replaced, owned; NULL: it is already right,
 * or there is no such line. */
char *target_replace(const char *text, int64_t target_s);

#endif
