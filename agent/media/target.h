/* target: one EXT-X-TARGETDURATION in all the playlists of a film.
 *
 * RFC 8216 (6.2.4) wants the same in every rendition, and no segment longer. ffmpeg rounds each
 * playlist's own to the nearest second: 6.4 s under a target of 6, 0.4 s under one of 0. */
#ifndef AGENT_TARGET_H
#define AGENT_TARGET_H

#include "agent/media/check.h"

/* output: as in check.h. Writes only what differs, durably. */
int target_write(int output, const struct check *check, struct error *err);

/* The parts that touch no file: text with its target replaced, owned; NULL: it says so already, or
 * has no such line. */
char *target_replace(const char *text, int64_t target_s);

#endif
