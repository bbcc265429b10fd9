#include "segment.h"

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
    return SEGMENT_REFUSED;
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

bool segment_head_fits(enum segment_kind kind, const unsigned char *head, size_t size)
{
    switch (kind) {
    case SEGMENT_TS:
        return size > 0 && head[0] == 0x47;
    case SEGMENT_ISO:
        return is_iso(head, size);
    case SEGMENT_TEXT:
        return size > 0;
    case SEGMENT_REFUSED:
        break;
    }
    return false;
}

/* The length of the UTF-8 sequence at data, 0 if there is none (also: overlong, surrogate). */
static size_t sequence_length(const unsigned char *data, size_t size)
{
    unsigned char lead = data[0];
    if (lead < 0x80)
        return 1;
    size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || length > size)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((data[i] & 0xC0) != 0x80)
            return 0;
    if ((lead == 0xE0 && data[1] < 0xA0) || (lead == 0xED && data[1] > 0x9F) ||
        (lead == 0xF0 && data[1] < 0x90) || (lead == 0xF4 && data[1] > 0x8F))
        return 0;
    return length;
}

bool segment_is_text(const char *data, size_t size)
{
    const unsigned char *at = (const unsigned char *)data;
    while (size > 0) {
        if ((*at < ' ' && *at != '\n' && *at != '\r' && *at != '\t') || *at == 0x7f)
            return false;
        size_t length = sequence_length(at, size);
        if (length == 0)
            return false;
        at += length;
        size -= length;
    }
    return true;
}

bool segment_is_media(enum segment_kind kind)
{
    return kind == SEGMENT_TS || kind == SEGMENT_ISO;
}

bool segment_is_flat(enum quality quality, const char *filename)
{
    const char *name = quality_name(quality);
    size_t length = strlen(name);
    if (strncmp(filename, name, length) != 0)
        return false;
    const char *rest = filename + length;
    return strcmp(rest, ".m3u8") == 0 || (rest[0] == '_' && ends_with(rest, ".ts"));
}
