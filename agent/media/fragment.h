/* fragment: when the pictures of a segment are shown, or its sound heard, read from its own boxes.
 * Pure.
 *
 * A playlist says how long its segments are; only the segments know. Times are those of the
 * presentation: edit list done. Follows one track of the movie and ignores the rest: what is said
 * here of pictures holds for samples of sound. */
#ifndef AGENT_FRAGMENT_H
#define AGENT_FRAGMENT_H

#include "agent/media/box.h"

struct fragment_movie {
    uint32_t track, timescale;
    uint32_t duration, flags; /* of a sample that does not say */
    int64_t shift;            /* from the media's time to the presentation's, in the timescale */
};

#define FRAGMENT_PICTURES "vide"
#define FRAGMENT_SOUND    "soun"

/* The first track of this kind; init: init.mp4 as a whole. False: it has none with a timescale. */
bool fragment_read_movie(struct span init, const char *kind, struct fragment_movie *movie);

struct fragment {
    uint64_t pictures;        /* 0: none, and nothing else here counts */
    bool starts_with_key;     /* the first can be decoded by itself */
    int64_t first_us;         /* when that first one is shown */
    int64_t start_us, end_us; /* of all of them: B-frames are shown before what they follow */
    int64_t longest_us;       /* the longest time that one is shown */
};

/* Adds what a `moof` holds to *fragment, which begins as {0}. */
void fragment_add(const struct fragment_movie *movie, struct span moof, struct fragment *fragment);

#endif
