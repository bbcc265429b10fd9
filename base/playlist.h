/* playlist: the contents of a rendition's HLS media playlist, for both sides. Pure.
 *
 * Understands EXTINF and URI lines, EXT-X-MAP, ENDLIST. A URI is a single plain file name in the
 * same directory. Refuses: no #EXTM3U, a NUL, two maps, anything outside the directory, more than
 * PLAYLIST_SEGMENTS_MAX segments. Features that our own playlists never have are reported
 * (`foreign`), not refused.
 *
 * `self_contained` is what a completion can rely on: whoever has the listed files can play all of
 * it. Discontinuities do not matter for that. */
#ifndef TAILSLATE_PLAYLIST_H
#define TAILSLATE_PLAYLIST_H

#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PLAYLIST_MAX_BYTES = 4 * 1024 * 1024, PLAYLIST_SEGMENTS_MAX = 100 * 1000 };

struct playlist_segment {
    char *name;          /* owned by the playlist */
    int64_t duration_us; /* -1: not stated */
};

struct playlist {
    struct playlist_segment *segments;
    size_t count;
    char *init; /* of EXT-X-MAP; NULL: none */
    int64_t total_us;
    bool ended;    /* EXT-X-ENDLIST: the playlist is complete */
    bool numbered; /* the names are seg_0000.m4s, seg_0001.m4s, ... */
    bool foreign;  /* keys, byte ranges, discontinuities, or a segment without its EXTINF */
    /* No key, no URI in any tag but EXT-X-MAP, no byte range, part, gap, variable or other
     * playlist. */
    bool self_contained;
};

/* text ends with a NUL. err is TEMPORARY: a playlist that is being written may be valid later. */
int playlist_parse(const char *text, size_t size, struct playlist *playlist, struct error *err);
void playlist_fini(struct playlist *playlist);

#endif
