#include "playlist.h"

#include "segment.h"

#include <string.h>

struct walk {
    playlist_each *each;
    void *ctx;
    size_t named;
};

static bool name_found(struct walk *walk, const char *name, size_t length)
{
    char copy[SEGMENT_NAME_MAX + 1];
    if (length > SEGMENT_NAME_MAX)
        return false;
    memcpy(copy, name, length);
    copy[length] = '\0';
    if (!segment_is_media(segment_kind_of(copy)))
        return false;
    walk->named++;
    return walk->each(copy, walk->ctx);
}

/* #EXT-X-MAP:URI="init.mp4",... : true where the line is no map, or the map's name is fine. */
static bool map_found(struct walk *walk, const char *line, size_t length)
{
    static const char tag[] = "#EXT-X-MAP:", key[] = "URI=\"";
    if (length < sizeof tag - 1 || memcmp(line, tag, sizeof tag - 1) != 0)
        return true;
    const char *uri = memmem(line, length, key, sizeof key - 1);
    if (!uri)
        return false;
    uri += sizeof key - 1;
    const char *end = memchr(uri, '"', length - (size_t)(uri - line));
    return end && name_found(walk, uri, (size_t)(end - uri));
}

static bool line_found(struct walk *walk, const char *line, size_t length)
{
    while (length > 0 && strchr("\r \t", line[length - 1]))
        length--;
    if (length == 0)
        return true;
    if (line[0] == '#')
        return map_found(walk, line, length);
    return name_found(walk, line, length);
}

bool playlist_walk(const char *text, size_t size, playlist_each *each, void *ctx)
{
    static const char first[] = "#EXTM3U";
    if (size < sizeof first - 1 || memcmp(text, first, sizeof first - 1) != 0)
        return false;
    if (memchr(text, '\0', size))
        return false;

    struct walk walk = {.each = each, .ctx = ctx};
    const char *end = text + size;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *stop = newline ? newline : end;
        if (!line_found(&walk, text, (size_t)(stop - text)))
            return false;
        text = newline ? newline + 1 : end;
    }
    return walk.named > 0;
}
