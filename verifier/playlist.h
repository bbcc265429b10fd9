/* playlist: which files a media playlist (HLS) names. Pure. */
#ifndef VERIFIER_PLAYLIST_H
#define VERIFIER_PLAYLIST_H

#include <stdbool.h>
#include <stddef.h>

enum { PLAYLIST_MAX_BYTES = 16 << 20 };

/* Calls each(name, ctx) for the initialization section (EXT-X-MAP) and every segment, in order, and
 * stops where it says false. Returns false then, and also where the text is no playlist (it must
 * start with #EXTM3U), names nothing, or names something that is not a single file name beside it.
 * A name twice is called twice. */
typedef bool playlist_each(const char *name, void *ctx);
bool playlist_walk(const char *text, size_t size, playlist_each *each, void *ctx);

#endif
