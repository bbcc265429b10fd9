#include "agent/media/measure.h"

#include "agent/media/box.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- codecs ---------------------------------------------------------------------------------- */

enum { VISUAL_ENTRY_BYTES = 78, AUDIO_ENTRY_BYTES = 28, TRACKS_MAX = 16 };

static uint32_t big32(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

__attribute__((format(printf, 2, 3))) static void add(struct codecs *codecs, const char *format,
                                                      ...)
{
    char word[48];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(word, sizeof word, format, arguments);
    va_end(arguments);
    size_t used = strlen(codecs->text);
    snprintf(codecs->text + used, sizeof codecs->text - used, "%s%s", used ? "," : "", word);
}

static void add_avc(struct codecs *codecs, struct span entry)
{
    struct span config;
    if (!box_find(entry, "avcC", &config) || config.size < 4)
        return;
    codecs->video = TAILSLATE_CODEC_H264;
    add(codecs, "avc1.%02x%02x%02x", config.data[1], config.data[2], config.data[3]);
}

/* hvc1.<space><profile>.<compatibility, bits reversed>.<tier><level>.<constraints, zeros trimmed>
 */
static void add_hevc(struct codecs *codecs, struct span entry, const char *type)
{
    struct span config;
    if (!box_find(entry, "hvcC", &config) || config.size < 13)
        return;
    const unsigned char *at = config.data;
    uint32_t compatible = big32(at + 2), reversed = 0;
    for (int bit = 0; bit < 32; bit++)
        reversed |= (compatible >> bit & 1) << (31 - bit);
    char constraints[24] = "";
    int last = 5;
    while (last >= 0 && at[6 + last] == 0)
        last--;
    for (int i = 0, used = 0; i <= last; i++)
        used += snprintf(constraints + used, sizeof constraints - (size_t)used, ".%X", at[6 + i]);
    const char *const spaces[] = {"", "A", "B", "C"};
    codecs->video = TAILSLATE_CODEC_HEVC;
    add(codecs, "%s.%s%d.%X.%c%d%s", type, spaces[at[1] >> 6], at[1] & 0x1f, reversed,
        at[1] & 0x20 ? 'H' : 'L', at[12], constraints);
}

static void add_av1(struct codecs *codecs, struct span entry)
{
    struct span config;
    if (!box_find(entry, "av1C", &config) || config.size < 3)
        return;
    bool is_high = config.data[2] & 0x40, is_twelve = config.data[2] & 0x20;
    codecs->video = TAILSLATE_CODEC_AV1;
    add(codecs, "av01.%d.%02d%c.%02d", config.data[1] >> 5, config.data[1] & 0x1f,
        config.data[2] & 0x80 ? 'H' : 'M',
        is_twelve ? 12
        : is_high ? 10
                  : 8);
}

/* An MPEG-4 descriptor: tag, a length of up to four bytes with seven bits each, its body. */
static bool find_descriptor(struct span within, unsigned char wanted, struct span *body)
{
    while (within.size >= 2) {
        unsigned char tag = within.data[0];
        size_t at = 1, length = 0;
        for (int i = 0; i < 4 && at < within.size; i++) {
            length = length << 7 | (within.data[at] & 0x7f);
            if (!(within.data[at++] & 0x80))
                break;
        }
        if (length > within.size - at)
            return false;
        *body = (struct span){within.data + at, length};
        if (tag == wanted)
            return true;
        within.data += at + length;
        within.size -= at + length;
    }
    return false;
}

static void add_mp4a(struct codecs *codecs, struct span entry)
{
    struct span esds, stream, decoder, specific;
    if (!box_find(entry, "esds", &esds) || !find_descriptor(span_skip(esds, 4), 0x03, &stream) ||
        !find_descriptor(span_skip(stream, 3), 0x04, &decoder) || decoder.size < 13)
        return;
    if (decoder.data[0] != 0x40) {
        add(codecs, "mp4a.%02X", decoder.data[0]);
        return;
    }
    if (find_descriptor(span_skip(decoder, 13), 0x05, &specific) && specific.size > 0)
        add(codecs, "mp4a.40.%d", specific.data[0] >> 3);
}

static void add_track(struct codecs *codecs, struct span track)
{
    struct span table, entry;
    char type[5];
    if (!box_find_path(track, (const char *const[]){"mdia", "minf", "stbl", "stsd", NULL}, &table))
        return;
    table = span_skip(table, 8);
    if (!box_next(&table, type, &entry))
        return;
    struct span visual = span_skip(entry, VISUAL_ENTRY_BYTES),
                audio = span_skip(entry, AUDIO_ENTRY_BYTES);
    if (strcmp(type, "avc1") == 0 || strcmp(type, "avc3") == 0)
        add_avc(codecs, visual);
    else if (strcmp(type, "hvc1") == 0 || strcmp(type, "hev1") == 0)
        add_hevc(codecs, visual, type);
    else if (strcmp(type, "av01") == 0)
        add_av1(codecs, visual);
    else if (strcmp(type, "mp4a") == 0)
        add_mp4a(codecs, audio);
    else if (strcmp(type, "ac-3") == 0 || strcmp(type, "ec-3") == 0)
        add(codecs, "%s", type);
}

size_t measure_count_boxes(const unsigned char *file, size_t size, const char *type)
{
    struct span rest = {file, size}, body;
    char found[5];
    size_t count = 0;
    while (box_next(&rest, found, &body))
        count += strcmp(found, type) == 0;
    return count;
}

void measure_codecs(const unsigned char *init, size_t size, struct codecs *codecs)
{
    struct span movie, rest, body;
    char type[5];
    *codecs = (struct codecs){.video = TAILSLATE_CODEC_ABSENT};
    if (!box_find((struct span){init, size}, "moov", &movie))
        return;
    rest = movie;
    for (int tracks = 0; tracks < TRACKS_MAX && box_next(&rest, type, &body); tracks++)
        if (strcmp(type, "trak") == 0)
            add_track(codecs, body);
    if (codecs->video == TAILSLATE_CODEC_ABSENT)
        codecs->text[0] = '\0';
}

/* ---- bit rates ------------------------------------------------------------------------------- */

enum { SECOND_US = 1000 * 1000, RUN_SEGMENTS_MAX = 1000 };

int64_t measure_target_s(const struct playlist *playlist)
{
    int64_t target_s = 1;
    for (size_t i = 0; i < playlist->count; i++) {
        int64_t whole_s = (playlist->segments[i].duration_us + SECOND_US - 1) / SECOND_US;
        if (whole_s > target_s)
            target_s = whole_s;
    }
    return target_s;
}

static double rate(int64_t bytes, int64_t duration_us)
{
    return duration_us > 0 ? (double)bytes * 8 * SECOND_US / (double)duration_us : 0;
}

static double peak_from(const struct playlist *playlist, const int64_t *bytes, size_t first,
                        int64_t target_us)
{
    double peak = 0;
    int64_t sum_bytes = 0, sum_us = 0;
    for (size_t i = first; i < playlist->count && i < first + RUN_SEGMENTS_MAX; i++) {
        sum_bytes += bytes[i];
        sum_us += playlist->segments[i].duration_us;
        if (sum_us * 2 > target_us * 3)
            break;
        if (sum_us * 2 >= target_us)
            peak = fmax(peak, rate(sum_bytes, sum_us));
    }
    return peak;
}

struct rates measure_rates(const struct playlist *playlist, const int64_t *bytes, int64_t target_s)
{
    int64_t target_us = target_s * SECOND_US, total_bytes = 0;
    double peak = 0;
    for (size_t i = 0; i < playlist->count; i++) {
        total_bytes += bytes[i];
        peak = fmax(peak, peak_from(playlist, bytes, i, target_us));
    }
    double average = rate(total_bytes, playlist->total_us);
    return (struct rates){.peak_bps = llround(fmax(peak, average)),
                          .average_bps = llround(average)};
}
