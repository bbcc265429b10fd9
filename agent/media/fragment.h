/* fragment: when the video frames or audio samples of a segment are presented, read from its boxes.
 * Pure.
 *
 * A playlist states how long its segments are, but only the segments know. Times are presentation
 * times, after the edit list. Follows one track and ignores the rest; what is said here about video
 * frames also applies to audio samples. */
#ifndef AGENT_FRAGMENT_H
#define AGENT_FRAGMENT_H

#include "agent/media/box.h"

struct fragment_movie {
    uint32_t track, timescale;
    uint32_t duration, flags; /* of a sample that does not state it */
    int64_t shift;            /* from media time to presentation time, in the timescale */
};

#define FRAGMENT_PICTURES "vide"
#define FRAGMENT_SOUND    "soun"

/* The first track of this kind; init: the whole init.mp4. False: there is none with a timescale. */
bool fragment_read_movie(struct span init, const char *kind, struct fragment_movie *movie);

struct fragment {
    uint64_t pictures;    /* 0: none, and the other members are unused */
    bool starts_with_key; /* the first one is a keyframe */
    int64_t first_us;     /* when the first one is presented */
    int64_t start_us,
        end_us;         /* over all of them: B-frames are presented before the frames they follow */
    int64_t longest_us; /* the longest duration of one */
};

/* Adds the contents of a `moof` to *fragment, which starts as {0}. */
void fragment_add(const struct fragment_movie *movie, struct span moof, struct fragment *fragment);

#endif
