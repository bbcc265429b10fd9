#include "agent/media/box.h"

#include <math.h>
#include <string.h>

enum { HEADER_BYTES = 8 };

struct span span_skip(struct span span, size_t bytes)
{
    size_t step = bytes < span.size ? bytes : span.size;
    return (struct span){span.data + step, span.size - step};
}

static uint64_t take(struct span *span, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes && bytes <= span->size; i++)
        value = value << 8 | span->data[i];
    *span = span_skip(*span, bytes);
    return value;
}

uint32_t span_take32(struct span *span)
{
    return (uint32_t)take(span, 4);
}

uint64_t span_take64(struct span *span)
{
    return take(span, 8);
}

bool box_next(struct span *rest, char type[5], struct span *body)
{
    if (rest->size < HEADER_BYTES)
        return false;
    struct span header = *rest;
    size_t size = span_take32(&header);
    if (size < HEADER_BYTES || size > rest->size)
        return false;
    memcpy(type, rest->data + 4, 4);
    type[4] = '\0';
    *body = (struct span){rest->data + HEADER_BYTES, size - HEADER_BYTES};
    *rest = span_skip(*rest, size);
    return true;
}

bool box_find(struct span within, const char *type, struct span *body)
{
    char found[5];
    while (box_next(&within, found, body))
        if (strcmp(found, type) == 0)
            return true;
    return false;
}

bool box_find_path(struct span within, const char *const path[], struct span *body)
{
    *body = within;
    for (size_t i = 0; path[i]; i++)
        if (!box_find(*body, path[i], body))
            return false;
    return true;
}

/* ---- fragments ------------------------------------------------------------------------------- */

enum {
    FLAGS_MASK = 0xffffff,
    TFHD_BASE = 0x1,
    TFHD_DESCRIPTION = 0x2,
    TFHD_DURATION = 0x8,
    TFHD_SIZE = 0x10,
    TFHD_FLAGS = 0x20,
    TRUN_OFFSET = 0x1,
    TRUN_FIRST_FLAGS = 0x4,
    TRUN_DURATION = 0x100,
    TRUN_SIZE = 0x200,
    TRUN_FLAGS = 0x400,
    TRUN_SHIFT = 0x800,
    SAMPLE_NO_KEY = 0x10000,
    SECONDS_MAX = 365 * 24 * 3600, /* a larger value means damage */
    SILENT_MAX = 100 * 1000,       /* frames of a run without per-sample data */
};

/* ---- the movie ------------------------------------------------------------------------------- */

/* mvhd, mdhd and tkhd start the same way: version, two times of 4 or 8 bytes, then this number. */
static uint32_t after_times(struct span header)
{
    bool is_long = header.size > 0 && header.data[0] == 1;
    header = span_skip(header, is_long ? 20 : 12);
    return span_take32(&header);
}

static uint32_t number_of(struct span within, const char *box)
{
    struct span header;
    return box_find(within, box, &header) ? after_times(header) : 0;
}

static bool is_of_kind(struct span track, const char *kind)
{
    static const char *const path[] = {"mdia", "hdlr", NULL};
    struct span handler;
    if (!box_find_path(track, path, &handler))
        return false;
    handler = span_skip(handler, 8);
    return handler.size >= 4 && memcmp(handler.data, kind, 4) == 0;
}

/* An empty edit delays the track; the first other one removes everything before its media time. */
static int64_t edit_shift(struct span track, uint32_t timescale, uint32_t movie_timescale)
{
    static const char *const path[] = {"edts", "elst", NULL};
    struct span list;
    if (!box_find_path(track, path, &list) || list.size < 8 || movie_timescale == 0 ||
        timescale == 0)
        return 0;
    bool is_long = list.data[0] == 1;
    list = span_skip(list, 4);
    int64_t delay = 0;
    for (uint32_t left = span_take32(&list); left > 0 && list.size >= 12; left--) {
        uint64_t duration = is_long ? span_take64(&list) : span_take32(&list);
        int64_t time = is_long ? (int64_t)span_take64(&list) : (int32_t)span_take32(&list);
        list = span_skip(list, 4);
        double seconds = (double)duration / movie_timescale;
        if (time >= 0)
            return delay - (time > INT32_MAX ? 0 : time);
        if (seconds + (double)delay / timescale > SECONDS_MAX)
            return 0;
        delay += (int64_t)(seconds * timescale);
    }
    return delay;
}

static void take_defaults(struct span extends, struct fragment_movie *movie)
{
    struct span rest = extends, body;
    char type[5];
    while (box_next(&rest, type, &body)) {
        body = span_skip(body, 4);
        if (strcmp(type, "trex") != 0 || span_take32(&body) != movie->track)
            continue;
        body = span_skip(body, 4);
        movie->duration = span_take32(&body);
        body = span_skip(body, 4);
        movie->flags = span_take32(&body);
    }
}

static bool take_track(struct span track, uint32_t movie_timescale, struct fragment_movie *movie)
{
    struct span media;
    if (!box_find(track, "mdia", &media))
        return false;
    movie->track = number_of(track, "tkhd");
    movie->timescale = number_of(media, "mdhd");
    movie->shift = edit_shift(track, movie->timescale, movie_timescale);
    return movie->timescale > 0;
}

bool fragment_read_movie(struct span init, const char *kind, struct fragment_movie *movie)
{
    struct span whole, rest, body, extends;
    char type[5];
    *movie = (struct fragment_movie){.track = 0};
    if (!box_find(init, "moov", &whole))
        return false;
    rest = whole;
    while (box_next(&rest, type, &body)) {
        if (strcmp(type, "trak") != 0 || !is_of_kind(body, kind) ||
            !take_track(body, number_of(whole, "mvhd"), movie))
            continue;
        if (box_find(whole, "mvex", &extends))
            take_defaults(extends, movie);
        return true;
    }
    return false;
}

/* ---- a fragment ------------------------------------------------------------------------------ */

struct run {
    const struct fragment_movie *movie;
    struct fragment *fragment;
    uint32_t duration, flags;
    int64_t time; /* decoding time, in the timescale */
};

static int64_t to_us(const struct run *run, int64_t time)
{
    double us = (double)time * 1e6 / run->movie->timescale;
    return (int64_t)fmax(-2e6 * SECONDS_MAX, fmin(us, 2e6 * SECONDS_MAX));
}

static void add_frame(struct run *run, uint32_t duration, uint32_t flags, int32_t shift)
{
    struct fragment *fragment = run->fragment;
    int64_t shown = run->time + shift + run->movie->shift;
    int64_t start_us = to_us(run, shown), end_us = to_us(run, shown + duration);
    if (fragment->frames++ == 0) {
        fragment->starts_with_key = !(flags & SAMPLE_NO_KEY);
        fragment->first_us = fragment->start_us = start_us;
        fragment->end_us = end_us;
    }
    if (start_us < fragment->start_us)
        fragment->start_us = start_us;
    if (end_us > fragment->end_us)
        fragment->end_us = end_us;
    if (end_us - start_us > fragment->longest_us)
        fragment->longest_us = end_us - start_us;
    run->time += duration;
}

static void add_run(struct run *run, struct span body)
{
    uint32_t told = span_take32(&body) & FLAGS_MASK, count = span_take32(&body);
    if (told & TRUN_OFFSET)
        body = span_skip(body, 4);
    uint32_t first = told & TRUN_FIRST_FLAGS ? span_take32(&body) : run->flags;
    size_t each = 0;
    for (uint32_t bit = TRUN_DURATION; bit <= TRUN_SHIFT; bit <<= 1)
        each += told & bit ? 4 : 0;
    for (uint32_t i = 0; i < count; i++) {
        if (body.size < each || (each == 0 && i == SILENT_MAX))
            return;
        uint32_t duration = told & TRUN_DURATION ? span_take32(&body) : run->duration;
        if (told & TRUN_SIZE)
            body = span_skip(body, 4);
        uint32_t flags = told & TRUN_FLAGS ? span_take32(&body) : i == 0 ? first : run->flags;
        int32_t shift = told & TRUN_SHIFT ? (int32_t)span_take32(&body) : 0;
        add_frame(run, duration, flags, shift);
    }
}

/* False: another track, or an incomplete header. */
static bool read_header(struct run *run, struct span traf)
{
    struct span header, time;
    if (!box_find(traf, "tfhd", &header) || !box_find(traf, "tfdt", &time))
        return false;
    uint32_t told = span_take32(&header) & FLAGS_MASK;
    if (span_take32(&header) != run->movie->track)
        return false;
    header = span_skip(header, (told & TFHD_BASE ? 8 : 0) + (told & TFHD_DESCRIPTION ? 4 : 0));
    run->duration = told & TFHD_DURATION ? span_take32(&header) : run->movie->duration;
    header = span_skip(header, told & TFHD_SIZE ? 4 : 0);
    run->flags = told & TFHD_FLAGS ? span_take32(&header) : run->movie->flags;
    bool is_long = span_take32(&time) >> 24 == 1;
    uint64_t begin = is_long ? span_take64(&time) : span_take32(&time);
    run->time = (int64_t)begin;
    return begin / run->movie->timescale < SECONDS_MAX;
}

void fragment_add(const struct fragment_movie *movie, struct span moof, struct fragment *fragment)
{
    struct span rest = moof, traf, runs, body;
    char type[5];
    while (box_next(&rest, type, &traf)) {
        struct run run = {.movie = movie, .fragment = fragment};
        if (strcmp(type, "traf") != 0 || !read_header(&run, traf))
            continue;
        runs = traf;
        while (box_next(&runs, type, &body))
            if (strcmp(type, "trun") == 0)
                add_run(&run, body);
    }
}
