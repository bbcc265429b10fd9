#include "verifier/base/segment.h"

#include "lib/json.h"

#include <stdio.h>
#include <string.h>

static bool ends_with(const char *text, const char *ending)
{
    size_t length = strlen(text), wanted = strlen(ending);
    return length > wanted && strcmp(text + length - wanted, ending) == 0;
}

static bool is_plain_component(const char *name)
{
    size_t length = strlen(name);
    if (length == 0 || length > SEGMENT_NAME_MAX || name[0] == '.')
        return false;
    if (name[0] == ' ' || name[length - 1] == ' ' || strstr(name, "..") || strpbrk(name, "%/\\"))
        return false;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)name[i] < ' ' || name[i] == 0x7f)
            return false;
    return segment_is_text(name, length);
}

enum segment_kind segment_kind_of(const char *filename)
{
    if (!is_plain_component(filename))
        return SEGMENT_REFUSED;
    if (ends_with(filename, ".ts"))
        return SEGMENT_TS;
    if (ends_with(filename, ".m4s") || ends_with(filename, ".mp4"))
        return SEGMENT_ISO;
    if (ends_with(filename, ".m3u8") || ends_with(filename, ".mpd"))
        return SEGMENT_TEXT;
    return strcmp(filename, SEGMENT_CAPTIONS_NAME) == 0 ? SEGMENT_CAPTIONS : SEGMENT_REFUSED;
}

static bool is_iso(const unsigned char *head, size_t size)
{
    static const char boxes[][5] = {"ftyp", "moof", "styp", "sidx", "emsg"};
    if (size < 8)
        return false;
    for (size_t i = 0; i < sizeof boxes / sizeof boxes[0]; i++)
        if (memcmp(head + 4, boxes[i], 4) == 0)
            return true;
    return false;
}

static bool is_captions(const unsigned char *head, size_t size)
{
    static const char mark[] = "\xef\xbb\xbf", word[] = "WEBVTT";
    if (size >= sizeof mark - 1 && memcmp(head, mark, sizeof mark - 1) == 0) {
        head += sizeof mark - 1;
        size -= sizeof mark - 1;
    }
    return size >= sizeof word - 1 && memcmp(head, word, sizeof word - 1) == 0;
}

bool segment_head_fits(enum segment_kind kind, const unsigned char *head, size_t size)
{
    switch (kind) {
    case SEGMENT_TS:
        return size > 0 && head[0] == 0x47;
    case SEGMENT_ISO:
        return is_iso(head, size);
    case SEGMENT_TEXT:
        return size > 0;
    case SEGMENT_CAPTIONS:
        return is_captions(head, size);
    case SEGMENT_REFUSED:
        break;
    }
    return false;
}

bool segment_is_text(const char *data, size_t size)
{
    while (size > 0) {
        unsigned char byte = (unsigned char)*data;
        size_t length = json_utf8_length(data, size);
        if (length == 0 || byte == 0x7f ||
            (byte < ' ' && byte != '\n' && byte != '\r' && byte != '\t'))
            return false;
        data += length;
        size -= length;
    }
    return true;
}

bool segment_is_media(enum segment_kind kind)
{
    return kind == SEGMENT_TS || kind == SEGMENT_ISO;
}

bool segment_is_flat(enum tailslate_quality quality, const char *filename)
{
    const char *name = tailslate_quality_name(quality);
    size_t length = strlen(name);
    if (strncmp(filename, name, length) != 0)
        return false;
    const char *rest = filename + length;
    return strcmp(rest, ".m3u8") == 0 || (rest[0] == '_' && ends_with(rest, ".ts"));
}

bool segment_quality_of(const char *name, enum tailslate_quality *quality)
{
    for (*quality = 0; *quality < TAILSLATE_QUALITY_COUNT; (*quality)++)
        if (strcmp(name, tailslate_quality_name(*quality)) == 0 || segment_is_flat(*quality, name))
            return true;
    return false;
}

bool segment_is_of_all(const char *name)
{
    static const char *const names[] = {"master.m3u8", "manifest.mpd", "thumbnail.jpg",
                                        SEGMENT_CAPTIONS_NAME};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}
