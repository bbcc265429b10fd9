/* truth: does the playlist of a copied rendition say what its segments hold?
 *
 * An encoded rendition is cut by us. A copy is cut where the source has keyframes and keeps its
 * times, and of some sources (B-frames without times, pictures that begin late, a recording cut in
 * the middle) the muxer writes a playlist that plays nowhere. Read here: the boxes of every
 * segment. Asked: each begins with a picture that can be decoded by itself, at the time at which
 * the playlist puts it; the whole is as long, and begins when, the encoded renditions do; no
 * segment is too long to be switched to. err TEMPORARY, in words. */
#ifndef AGENT_TRUTH_H
#define AGENT_TRUTH_H

#include "base/playlist.h"

struct truth {
    int output; /* the directory with a directory a rendition */
    double source_s;
    const struct playlist *playlist; /* of output/original */
    const char *sibling;             /* an encoded rendition's name; NULL: there is none */
    const struct playlist *sibling_playlist;
};

int truth_check(const struct truth *truth, struct error *err);

#endif
