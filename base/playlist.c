#include "base/playlist.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 255, DURATION_MAX_S = 24 * 3600 };

static int refuse(struct error *err, const char *why)
{
    return error_set(err, ERROR_TEMPORARY, 0, "the playlist %s", why);
}

static bool is_plain_name(const char *name, size_t size)
{
    if (size == 0 || size > NAME_MAX_BYTES || name[0] == '.')
        return false;
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)name[i] <= ' ' || strchr("/\\%?#:\"", name[i]))
            return false;
    return true;
}

static char *copy_name(const char *name, size_t size)
{
    char *copy = must_malloc(size + 1);
    memcpy(copy, name, size);
    copy[size] = '\0';
    return copy;
}

static int take_segment(struct playlist *playlist, const char *name, size_t size,
                        int64_t duration_us, struct error *err)
{
    if (!is_plain_name(name, size))
        return refuse(err, "names something other than a file in its own directory");
    if (playlist->count == PLAYLIST_SEGMENTS_MAX)
        return refuse(err, "has too many segments");
    /* Doubles at every power of two. */
    if ((playlist->count & (playlist->count - 1)) == 0) {
        size_t capacity = playlist->count ? playlist->count * 2 : 1;
        playlist->segments = must_realloc(playlist->segments,
                                          capacity * sizeof *playlist->segments);
    }
    char expected[32];
    snprintf(expected, sizeof expected, "seg_%04zu.m4s", playlist->count);
    struct playlist_segment *segment = &playlist->segments[playlist->count++];
    *segment = (struct playlist_segment){copy_name(name, size), duration_us};
    playlist->numbered &= strcmp(segment->name, expected) == 0;
    if (duration_us < 0)
        playlist->foreign = true;
    else
        playlist->total_us += duration_us;
    return 0;
}

static bool starts(const char *line, size_t size, const char *with)
{
    size_t length = strlen(with);
    return size >= length && memcmp(line, with, length) == 0;
}

struct attribute {
    const char *name, *value; /* value: without the quotes */
    size_t name_size, value_size;
    bool quoted;
};

/* The next NAME=VALUE or NAME="VALUE" in a tag's attribute list. False: end of the list, or
 * malformed. */
static bool next_attribute(const char **at, const char *end, struct attribute *attribute)
{
    const char *equals = memchr(*at, '=', (size_t)(end - *at));
    if (!equals)
        return false;
    attribute->name = *at;
    attribute->name_size = (size_t)(equals - *at);
    attribute->value = equals + 1;
    attribute->quoted = attribute->value < end && *attribute->value == '"';
    attribute->value += attribute->quoted;
    const char *stop = memchr(attribute->value, attribute->quoted ? '"' : ',',
                              (size_t)(end - attribute->value));
    if (!stop && attribute->quoted)
        return false;
    attribute->value_size = (size_t)((stop ? stop : end) - attribute->value);
    *at = stop ? stop + attribute->quoted : end;
    if (*at < end && **at != ',')
        return false;
    *at += *at < end;
    return true;
}

static bool is_text(const char *start, size_t size, const char *text)
{
    return size == strlen(text) && memcmp(start, text, size) == 0;
}

static int take_map(struct playlist *playlist, const char *line, size_t size, struct error *err)
{
    const char *at = line + strlen("#EXT-X-MAP:"), *end = line + size;
    struct attribute attribute;
    const char *name = NULL;
    size_t name_size = 0;
    while (at < end) {
        if (!next_attribute(&at, end, &attribute))
            return refuse(err, "has an EXT-X-MAP without a valid attribute list");
        if (is_text(attribute.name, attribute.name_size, "URI")) {
            if (name || !attribute.quoted)
                return refuse(err, "has an EXT-X-MAP without exactly one URI");
            name = attribute.value;
            name_size = attribute.value_size;
        } else if (is_text(attribute.name, attribute.name_size, "BYTERANGE")) {
            playlist->foreign = true;
            playlist->self_contained = false;
        }
    }
    if (!name || !is_plain_name(name, name_size))
        return refuse(err, "has an EXT-X-MAP that does not name a file in its own directory");
    if (playlist->init)
        return refuse(err, "has two EXT-X-MAP tags");
    playlist->init = copy_name(name, name_size);
    return 0;
}

/* Tags that name, or replace, something other than a whole file beside the playlist. So does any
 * attribute whose name ends in URI: players that ignore it today may fetch it tomorrow. */
static const char *const outward[] = {
    "#EXT-X-KEY",
    "#EXT-X-SESSION-KEY",
    "#EXT-X-BYTERANGE",
    "#EXT-X-PART",
    "#EXT-X-PRELOAD-HINT",
    "#EXT-X-RENDITION-REPORT",
    "#EXT-X-SKIP",
    "#EXT-X-GAP",
    "#EXT-X-DEFINE",
    "#EXT-X-I-FRAMES-ONLY",
    "#EXT-X-I-FRAME-STREAM-INF",
    "#EXT-X-STREAM-INF",
    "#EXT-X-MEDIA:",
    "#EXT-X-CONTENT-STEERING",
    "#EXT-X-SESSION-DATA",
};

static bool names_uri(const char *line, size_t size)
{
    static const char uri[] = "URI=";
    for (size_t i = 0; i + sizeof uri - 1 <= size; i++)
        if (memcmp(line + i, uri, sizeof uri - 1) == 0)
            return true;
    return false;
}

static void take_tag(struct playlist *playlist, const char *line, size_t size)
{
    if (starts(line, size, "#EXT-X-KEY") || starts(line, size, "#EXT-X-BYTERANGE") ||
        starts(line, size, "#EXT-X-DISCONTINUITY"))
        playlist->foreign = true;
    if (is_text(line, size, "#EXT-X-KEY:METHOD=NONE"))
        return;
    for (size_t i = 0; i < sizeof outward / sizeof outward[0]; i++)
        if (starts(line, size, outward[i]))
            playlist->self_contained = false;
    if (starts(line, size, "#EXT") && names_uri(line, size))
        playlist->self_contained = false;
    playlist->foreign |= !playlist->self_contained;
}

/* duration_us: of the last EXTINF, not used by a segment yet; -1: none. */
static int take_line(struct playlist *playlist, const char *line, size_t size, int64_t *duration_us,
                     struct error *err)
{
    double seconds;
    if (size == 0)
        return 0;
    if (memchr(line, '\r', size)) /* some players treat it as the end of a line */
        return refuse(err, "has a carriage return within a line");
    if (line[0] != '#') {
        int result = take_segment(playlist, line, size, *duration_us, err);
        *duration_us = -1;
        return result;
    }
    if (starts(line, size, "#EXTINF:")) {
        if (sscanf(line, "#EXTINF:%lf", &seconds) != 1 || !isfinite(seconds) || seconds < 0 ||
            seconds > DURATION_MAX_S)
            return refuse(err, "has an EXTINF without a valid duration");
        *duration_us = llround(seconds * 1e6);
    } else if (starts(line, size, "#EXT-X-MAP:")) {
        return take_map(playlist, line, size, err);
    } else if (is_text(line, size, "#EXT-X-ENDLIST")) {
        playlist->ended = true;
    } else {
        take_tag(playlist, line, size);
    }
    return 0;
}

static int take_lines(struct playlist *playlist, const char *text, struct error *err)
{
    int64_t duration_us = -1;
    if (!starts(text, strlen(text), "#EXTM3U"))
        return refuse(err, "is not a playlist (no #EXTM3U)");
    while (*text) {
        size_t size = strcspn(text, "\n");
        size_t length = size > 0 && text[size - 1] == '\r' ? size - 1 : size;
        if (take_line(playlist, text, length, &duration_us, err) < 0)
            return -1;
        text += size + (text[size] == '\n');
    }
    return 0;
}

static int take_all(struct playlist *playlist, const char *text, size_t size, struct error *err)
{
    if (memchr(text, '\0', size))
        return refuse(err, "contains a NUL byte");
    return take_lines(playlist, text, err);
}

int playlist_parse(const char *text, size_t size, struct playlist *playlist, struct error *err)
{
    *playlist = (struct playlist){.numbered = true, .self_contained = true};
    if (take_all(playlist, text, size, err) == 0)
        return 0;
    playlist_fini(playlist);
    return -1;
}

void playlist_fini(struct playlist *playlist)
{
    for (size_t i = 0; i < playlist->count; i++)
        free(playlist->segments[i].name);
    free(playlist->segments);
    free(playlist->init);
    *playlist = (struct playlist){.numbered = false};
}
