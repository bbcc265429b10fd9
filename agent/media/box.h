/* box: the boxes of an MP4 file in memory, every length checked, and when the video frames or audio
 * samples of a fragment are presented. Pure.
 *
 * A playlist states how long its segments are, but only the segments know. Times are presentation
 * times, after the edit list. A fragment is read for one track, the others are ignored; what is
 * said here about video frames also applies to audio samples. */
#ifndef AGENT_BOX_H
#define AGENT_BOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
    const unsigned char *data;
    size_t size;
};

/* What remains after so many bytes: nothing if there are fewer. */
struct span span_skip(struct span span, size_t bytes);

/* Reads a big-endian number from the front of *span; 0 if it is too short. */
uint32_t span_take32(struct span *span);
uint64_t span_take64(struct span *span);

/* The next box of *rest; false: there is no complete one. type receives its four letters. */
bool box_next(struct span *rest, char type[5], struct span *body);
/* The first box of this type; the first one along a path of nested types (ends with NULL). */
bool box_find(struct span within, const char *type, struct span *body);
bool box_find_path(struct span within, const char *const path[], struct span *body);

struct fragment_movie {
    uint32_t track, timescale;
    uint32_t duration, flags; /* of a sample that does not state it */
    int64_t shift;            /* from media time to presentation time, in the timescale */
};

#define FRAGMENT_VIDEO "vide"
#define FRAGMENT_AUDIO "soun"

/* The first track of this kind; init: the whole init.mp4. False: there is none with a timescale. */
bool fragment_read_movie(struct span init, const char *kind, struct fragment_movie *movie);

struct fragment {
    uint64_t frames;      /* 0: none, and the other members are unused */
    bool starts_with_key; /* the first one is a keyframe */
    int64_t first_us;     /* when the first one is presented */
    int64_t start_us,
        end_us;         /* over all of them: B-frames are presented before the frames they follow */
    int64_t longest_us; /* the longest duration of one */
};

/* Adds the contents of a `moof` to *fragment, which starts as {0}. */
void fragment_add(const struct fragment_movie *movie, struct span moof, struct fragment *fragment);

#endif
