/* check_original: does the playlist of a copied rendition match its segments?
 *
 * We cut an encoded rendition ourselves. A copy is cut at the source's keyframes and keeps its
 * times, and for some sources (B-frames without times, video that starts late, a recording cut in
 * the middle) the muxer writes a playlist that no player can play. Reads the boxes of every segment
 * and checks that each begins with a keyframe, at the time that the playlist gives; that the whole
 * is as long, and begins when, the encoded renditions do; and that no segment is too long to switch
 * to. err TEMPORARY, in plain English. */
#ifndef AGENT_CHECK_ORIGINAL_H
#define AGENT_CHECK_ORIGINAL_H

#include "base/playlist.h"

struct original_check {
    int output; /* the directory with one directory per rendition */
    double source_s;
    const struct playlist *playlist; /* of output/original */
    const char *encoded;             /* an encoded rendition's name; NULL: there is none */
    const struct playlist *encoded_playlist;
};

int check_original_playlist(const struct original_check *check, struct error *err);

#endif
