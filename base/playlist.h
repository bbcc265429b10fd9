/* playlist: what a media playlist (HLS) of a rendition lists, for both sides. Pure.
 *
 * Understands EXTINF and URI lines, EXT-X-MAP, ENDLIST. A URI is a single plain file name in the
 * same directory. Refused: no #EXTM3U, a NUL, two maps, anything that leaves the directory, over
 * PLAYLIST_SEGMENTS_MAX segments. What no playlist of ours has is told (`foreign`), not refused.
 *
 * `self_contained` is what a completion may rest on: whoever has the files that are listed here can
 * play all of it. Discontinuities are no obstacle to that. */
#ifndef TAILSLATE_PLAYLIST_H
#define TAILSLATE_PLAYLIST_H

#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PLAYLIST_MAX_BYTES = 4 * 1024 * 1024, PLAYLIST_SEGMENTS_MAX = 100 * 1000 };

struct playlist_segment {
    char *name;          /* owned by the playlist */
    int64_t duration_us; /* -1: not told */
};

struct playlist {
    struct playlist_segment *segments;
    size_t count;
    char *init; /* of EXT-X-MAP; NULL: none */
    int64_t total_us;
    bool ended;    /* EXT-X-ENDLIST: nothing comes after */
    bool numbered; /* the names are seg_0000.m4s, seg_0001.m4s, ... */
    bool foreign;  /* keys, byte ranges, discontinuities, or a segment without its EXTINF */
    /* No key, no URI in a tag but the map's, no byte range, part, gap, variable or other playlist.
     */
    bool self_contained;
};

/* text is followed by a NUL. err is TEMPORARY: a playlist that is being written reads better later.
 */
int playlist_parse(const char *text, size_t size, struct playlist *playlist, struct error *err);
void playlist_fini(struct playlist *playlist);

#endif
