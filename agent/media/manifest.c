#include "agent/media/manifest.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMESCALE = 1000000, ALIGNED_US = 1000 };

/* ---- audio renditions ------------------------------------------------------------------------ */

#define MANIFEST_GROUP "audio"

enum { NAME_BYTES = AUDIO_TITLE_BYTES + 16 };

/* Containers name languages by ISO 639-2, playlists by RFC 5646, which requires the shortest code.
 */
static const char *const short_codes[][2] = {
    {"ara", "ar"}, {"bul", "bg"}, {"ces", "cs"}, {"chi", "zh"}, {"cze", "cs"}, {"dan", "da"},
    {"deu", "de"}, {"dut", "nl"}, {"ell", "el"}, {"eng", "en"}, {"est", "et"}, {"fin", "fi"},
    {"fra", "fr"}, {"fre", "fr"}, {"ger", "de"}, {"gre", "el"}, {"heb", "he"}, {"hin", "hi"},
    {"hrv", "hr"}, {"hun", "hu"}, {"ind", "id"}, {"ita", "it"}, {"jpn", "ja"}, {"kor", "ko"},
    {"lav", "lv"}, {"lit", "lt"}, {"nld", "nl"}, {"nob", "nb"}, {"nor", "no"}, {"pol", "pl"},
    {"por", "pt"}, {"ron", "ro"}, {"rum", "ro"}, {"rus", "ru"}, {"slk", "sk"}, {"slo", "sk"},
    {"slv", "sl"}, {"spa", "es"}, {"srp", "sr"}, {"swe", "sv"}, {"tha", "th"}, {"tur", "tr"},
    {"ukr", "uk"}, {"vie", "vi"}, {"zho", "zh"},
};

/* "" if it is unknown or not a code. */
static const char *language_of(const struct audio_track *track)
{
    const char *language = track->language;
    for (size_t i = 0; i < sizeof short_codes / sizeof short_codes[0]; i++)
        if (strcasecmp(language, short_codes[i][0]) == 0)
            return short_codes[i][1];
    bool is_code = isalpha((unsigned char)language[0]) && strcasecmp(language, "und") != 0;
    for (const char *at = language; *at; at++)
        is_code = is_code && (isalnum((unsigned char)*at) || *at == '-');
    return is_code ? language : "";
}

/* A quoted string in a playlist cannot contain quotes, line breaks or other control characters. */
static void clean(char *text)
{
    for (; *text; text++)
        if (*text == '"' || (unsigned char)*text < ' ' || *text == 0x7f)
            *text = '\'';
}

static void base_name(const struct manifest_audio *audio, char name[NAME_BYTES])
{
    const struct audio_track *track = audio->track;
    const char *language = language_of(track);
    if (track->title[0])
        snprintf(name, NAME_BYTES, "%s", track->title);
    else if (language[0])
        snprintf(name, NAME_BYTES, "%s", language);
    else
        snprintf(name, NAME_BYTES, "Track %zu", audio->number + 1);
    clean(name);
}

/* Names are unique within a group. */
static void name_of(const struct manifest_audio *audio, size_t i, char name[NAME_BYTES])
{
    base_name(&audio[i], name);
    for (size_t j = 0; j < i; j++) {
        char other[NAME_BYTES];
        size_t used = strlen(name);
        base_name(&audio[j], other);
        if (strcmp(name, other) != 0)
            continue;
        snprintf(name + used, NAME_BYTES - used, " (%zu)", audio[i].number + 1);
        return;
    }
}

/* May a player take it because of the viewer's language, unasked? */
static bool is_selectable(const struct manifest_audio *audio, size_t i)
{
    const char *language = language_of(audio[i].track);
    if (i == 0)
        return true;
    if (audio[i].track->is_secondary || !language[0])
        return false;
    for (size_t j = 0; j < i; j++)
        if (strcmp(language, language_of(audio[j].track)) == 0)
            return false;
    return true;
}

static void put_choice(FILE *out, const struct manifest_audio *audio, size_t i)
{
    char name[NAME_BYTES];
    const char *language = language_of(audio[i].track);
    name_of(audio, i, name);
    fprintf(out, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"" MANIFEST_GROUP "\",NAME=\"%s\"", name);
    if (language[0])
        fprintf(out, ",LANGUAGE=\"%s\"", language);
    fprintf(out, ",DEFAULT=%s,AUTOSELECT=%s", i == 0 ? "YES" : "NO",
            is_selectable(audio, i) ? "YES" : "NO");
    if (audio[i].track->describes_video)
        fputs(",CHARACTERISTICS=\"public.accessibility.describes-video\"", out);
    fprintf(out, ",URI=\"%s/" AUDIO_PLAYLIST "\"\n", tailslate_quality_name(audio[i].home),
            audio[i].number);
}

struct manifest_group {
    size_t count;                  /* 0: there is no group */
    int64_t peak_bps, average_bps; /* of the rendition with the highest bit rate */
};

static void put_group(FILE *out, const struct manifest_audio *audio, size_t count,
                      struct manifest_group *group)
{
    *group = (struct manifest_group){.count = count};
    for (size_t i = 0; i < group->count; i++) {
        put_choice(out, audio, i);
        if (audio[i].peak_bps > group->peak_bps)
            group->peak_bps = audio[i].peak_bps;
        if (audio[i].average_bps > group->average_bps)
            group->average_bps = audio[i].average_bps;
    }
}

/* ---- text ------------------------------------------------------------------------------------ */

/* open_memstream only fails for lack of memory, and then a truncated text must not be used. */
static void text_end(FILE *out)
{
    must(!ferror(out));
    must(fclose(out) == 0);
}

static FILE *text_begin(char **text, size_t *size)
{
    FILE *out = open_memstream(text, size);
    must(out);
    return out;
}

static void put_escaped(FILE *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            fputc(*text, out);
        }
    }
}

/* ---- HLS ------------------------------------------------------------------------------------- */

/* The first of "avc1.64001f,mp4a.40.2" is the video's. */
static int codecs_size(const struct manifest_rendition *rendition, bool is_alone)
{
    return (int)(is_alone ? strcspn(rendition->codecs, ",") : strlen(rendition->codecs));
}

static void put_variant(FILE *out, const struct manifest_rendition *rendition,
                        const struct manifest_group *group)
{
    bool is_alone = group->count > 0;
    int64_t peak = is_alone ? rendition->video.peak_bps + group->peak_bps : rendition->peak_bps;
    int64_t average = is_alone ? rendition->video.average_bps + group->average_bps
                               : rendition->average_bps;
    fprintf(out, "#EXT-X-STREAM-INF:BANDWIDTH=%lld,AVERAGE-BANDWIDTH=%lld,RESOLUTION=%lldx%lld",
            (long long)peak, (long long)average, (long long)rendition->width,
            (long long)rendition->height);
    if (rendition->codecs[0])
        fprintf(out, ",CODECS=\"%.*s%s\"", codecs_size(rendition, is_alone), rendition->codecs,
                is_alone ? ",mp4a.40.2" : "");
    if (rendition->frame_rate > 0)
        fprintf(out, ",FRAME-RATE=%.3f", rendition->frame_rate);
    if (rendition->video_range)
        fprintf(out, ",VIDEO-RANGE=%s", rendition->video_range);
    if (is_alone)
        fputs(",AUDIO=\"" MANIFEST_GROUP "\"", out);
    fprintf(out,
            rendition->is_flat ? "\n%s.m3u8\n"
            : is_alone         ? "\n%s/video.m3u8\n"
                               : "\n%s/stream.m3u8\n",
            tailslate_quality_name(rendition->quality));
}

bool manifest_has_choice(const struct manifest_rendition *renditions, size_t count,
                         size_t audio_count)
{
    for (size_t i = 0; i < count; i++)
        if (renditions[i].video.peak_bps == 0)
            return false;
    return audio_count > 1;
}

char *manifest_master(const struct manifest_rendition *renditions, size_t count,
                      const struct manifest_audio *audio, size_t audio_count)
{
    char *text = NULL;
    size_t size;
    struct manifest_group group;
    FILE *out = text_begin(&text, &size);
    fputs("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n", out);
    put_group(out, audio, manifest_has_choice(renditions, count, audio_count) ? audio_count : 0,
              &group);
    for (size_t i = 0; i < count; i++)
        put_variant(out, &renditions[i], &group);
    text_end(out);
    return text;
}

/* ---- DASH ------------------------------------------------------------------------------------ */

static int64_t longest_us(const struct manifest_rendition *renditions, size_t count)
{
    int64_t longest = 0;
    for (size_t i = 0; i < count; i++)
        if (renditions[i].segments && renditions[i].segments->total_us > longest)
            longest = renditions[i].segments->total_us;
    return longest;
}

static int64_t longest_segment_us(const struct manifest_rendition *renditions, size_t count)
{
    int64_t longest = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; renditions[i].segments && j < renditions[i].segments->count; j++)
            if (renditions[i].segments->segments[j].duration_us > longest)
                longest = renditions[i].segments->segments[j].duration_us;
    return longest;
}

static bool is_aligned(const struct playlist *left, const struct playlist *right)
{
    if (left->count != right->count)
        return false;
    int64_t left_us = 0, right_us = 0;
    for (size_t i = 0; i < left->count; i++) {
        if (llabs(left_us - right_us) > ALIGNED_US)
            return false;
        left_us += left->segments[i].duration_us;
        right_us += right->segments[i].duration_us;
    }
    return true;
}

static bool is_same_family(const struct manifest_rendition *left,
                           const struct manifest_rendition *right)
{
    return strncmp(left->codecs, right->codecs, 4) == 0 &&
           llabs(left->start_us - right->start_us) <= ALIGNED_US &&
           is_aligned(left->segments, right->segments);
}

static void put_timeline(FILE *out, const struct manifest_rendition *rendition)
{
    const struct playlist *list = rendition->segments;
    fputs("          <SegmentTimeline>\n", out);
    for (size_t i = 0; i < list->count;) {
        size_t run = 1;
        int64_t duration_us = list->segments[i].duration_us;
        while (i + run < list->count && list->segments[i + run].duration_us == duration_us)
            run++;
        fputs("            <S", out);
        if (i == 0)
            fprintf(out, " t=\"%lld\"", (long long)rendition->start_us);
        fprintf(out, " d=\"%lld\"", (long long)duration_us);
        if (run > 1)
            fprintf(out, " r=\"%zu\"", run - 1);
        fputs("/>\n", out);
        i += run;
    }
    fputs("          </SegmentTimeline>\n", out);
}

static void put_representation(FILE *out, const struct manifest_rendition *rendition)
{
    const char *name = tailslate_quality_name(rendition->quality);
    fprintf(out, "      <Representation id=\"%s\" mimeType=\"video/mp4\"", name);
    if (rendition->codecs[0]) {
        fputs(" codecs=\"", out);
        put_escaped(out, rendition->codecs);
        fputc('"', out);
    }
    fprintf(out, " bandwidth=\"%lld\" width=\"%lld\" height=\"%lld\"",
            (long long)rendition->peak_bps, (long long)rendition->width,
            (long long)rendition->height);
    if (rendition->frame_rate > 0)
        fprintf(out, " frameRate=\"%lld/1000\"", llround(rendition->frame_rate * 1000));
    fprintf(out,
            " startWithSAP=\"1\">\n"
            "        <SegmentTemplate timescale=\"%d\" presentationTimeOffset=\"%lld\""
            " startNumber=\"0\" initialization=\"%s/",
            TIMESCALE, (long long)rendition->start_us, name);
    put_escaped(out, rendition->segments->init);
    fprintf(out, "\" media=\"%s/seg_$Number%%04d$.m4s\">\n", name);
    put_timeline(out, rendition);
    fputs("        </SegmentTemplate>\n      </Representation>\n", out);
}

/* The set that renditions[first] starts: itself and every later one that fits; marks them done. */
static void put_set(FILE *out, const struct manifest_rendition *renditions, size_t count,
                    size_t first, tailslate_quality_set *done)
{
    fprintf(out,
            "    <AdaptationSet id=\"%zu\" segmentAlignment=\"true\""
            " subsegmentAlignment=\"true\">\n",
            first);
    if (strchr(renditions[first].codecs, ','))
        fputs("      <ContentComponent id=\"1\" contentType=\"video\"/>\n"
              "      <ContentComponent id=\"2\" contentType=\"audio\"/>\n",
              out);
    for (size_t i = first; i < count; i++) {
        tailslate_quality_set bit = 1u << renditions[i].quality;
        if ((*done & bit) || !renditions[i].segments ||
            !is_same_family(&renditions[first], &renditions[i]))
            continue;
        put_representation(out, &renditions[i]);
        *done |= bit;
    }
    fputs("    </AdaptationSet>\n", out);
}

char *manifest_mpd(const struct manifest_rendition *renditions, size_t count)
{
    int64_t duration_us = longest_us(renditions, count);
    if (duration_us == 0)
        return NULL;
    char *text = NULL;
    size_t size;
    FILE *out = text_begin(&text, &size);
    fprintf(
        out,
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
        "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\""
        " profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" type=\"static\""
        " mediaPresentationDuration=\"PT%.3fS\" maxSegmentDuration=\"PT%.3fS\""
        " minBufferTime=\"PT%.3fS\">\n"
        "  <Period id=\"0\" start=\"PT0S\" duration=\"PT%.3fS\">\n",
        (double)duration_us / TIMESCALE, (double)longest_segment_us(renditions, count) / TIMESCALE,
        (double)longest_segment_us(renditions, count) / TIMESCALE, (double)duration_us / TIMESCALE);
    tailslate_quality_set done = 0;
    for (size_t i = 0; i < count; i++)
        if (renditions[i].segments && !(done & 1u << renditions[i].quality))
            put_set(out, renditions, count, i, &done);
    fputs("  </Period>\n</MPD>\n", out);
    text_end(out);
    return text;
}
