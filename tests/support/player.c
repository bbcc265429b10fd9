#include "player.h"

#include "lib/cleanup.h"
#include "lib/error.h"
#include "player_media.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VARIANTS_MAX = 16 };
#define TOGETHER_S      0.1 /* begin; the encoded ones have their keyframes at the very same times */
#define ENDS_TOGETHER_S 0.25
#define SAME_S          0.0015

struct variant {
    char attributes[LINE_BYTES];
    struct player_media *media;
};

struct master {
    struct variant variants[VARIANTS_MAX];
    size_t count, sound_count;
    struct player_media *sound[VARIANTS_MAX]; /* of EXT-X-MEDIA */
};

/* ---- the master playlist --------------------------------------------------------------------- */

/* Quotes taken off; "": it is not there. Commas stand within quotes only. */
static const char *attribute(const char *attributes, const char *name, char value[LINE_BYTES])
{
    value[0] = '\0';
    for (const char *at = attributes; *at;) {
        size_t name_size = strcspn(at, "="), skip = name_size + 1;
        if (!at[name_size])
            break;
        bool is_quoted = at[skip] == '"';
        size_t size = strcspn(at + skip + is_quoted, is_quoted ? "\"" : ",");
        if (name_size == strlen(name) && strncmp(at, name, name_size) == 0)
            snprintf(value, LINE_BYTES, "%.*s", (int)size, at + skip + is_quoted);
        at += skip + size + (is_quoted ? 2U : 0U);
        at += *at == ',';
    }
    return value;
}

static bool read_media(struct player *player, const char *path, struct player_media **media)
{
    *media = must_calloc(1, sizeof **media);
    return player_media_read(player, path, *media);
}

static bool take_variant(struct player *player, struct master *master, const char *attributes,
                         const char *path)
{
    if (master->count == VARIANTS_MAX)
        return complain(player, "master.m3u8: too many variants");
    struct variant *variant = &master->variants[master->count++];
    snprintf(variant->attributes, sizeof variant->attributes, "%s", attributes);
    return read_media(player, path, &variant->media);
}

static bool take_sound(struct player *player, struct master *master, const char *attributes)
{
    char path[LINE_BYTES];
    if (!attribute(attributes, "URI", path)[0] || master->sound_count == VARIANTS_MAX)
        return true;
    return read_media(player, path, &master->sound[master->sound_count++]);
}

static bool read_master(struct player *player, struct master *master)
{
    static const char stream[] = "#EXT-X-STREAM-INF:", media[] = "#EXT-X-MEDIA:";
    TEXT(path) = must_printf("%s/master.m3u8", player->directory);
    TEXT(text) = file_read(path);
    char *rest = NULL;
    const char *attributes = NULL;
    if (strncmp(text, "#EXTM3U\n", 8) != 0)
        return complain(player, "master.m3u8 is not there or no playlist");
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, media, strlen(media)) == 0 &&
            !take_sound(player, master, line + strlen(media)))
            return false;
        if (strncmp(line, stream, strlen(stream)) == 0)
            attributes = line + strlen(stream);
        if (line[0] == '#')
            continue;
        if (!attributes)
            return complain(player, "master.m3u8: %s has no EXT-X-STREAM-INF", line);
        if (!take_variant(player, master, attributes, line))
            return false;
        attributes = NULL;
    }
    return master->count > 0 || complain(player, "master.m3u8 has no variant");
}

/* ---- what it says of each -------------------------------------------------------------------- */

static bool check_rate(struct player *player, const struct variant *variant, const char *name,
                       double measured)
{
    char value[LINE_BYTES];
    double said = strtod(attribute(variant->attributes, name, value), NULL);
    if (said >= measured * 0.9 && said <= measured * 1.1)
        return true;
    return complain(player, "%s: %s is %.0f, measured %.0f", variant->media->path, name, said,
                    measured);
}

/* Sound of a group counts to the variant that names it: the loudest one there is. */
static double sound_rate(const struct master *master, bool is_peak)
{
    double rate = 0;
    for (size_t i = 0; i < master->sound_count; i++)
        rate = fmax(rate, is_peak ? master->sound[i]->peak_bps : master->sound[i]->average_bps);
    return rate;
}

static bool check_rates(struct player *player, const struct master *master,
                        const struct variant *variant)
{
    char group[LINE_BYTES];
    bool has_group = attribute(variant->attributes, "AUDIO", group)[0] != '\0';
    const struct player_media *media = variant->media;
    return check_rate(player, variant, "BANDWIDTH",
                      media->peak_bps + (has_group ? sound_rate(master, true) : 0)) &&
           check_rate(player, variant, "AVERAGE-BANDWIDTH",
                      media->average_bps + (has_group ? sound_rate(master, false) : 0));
}

static bool begins_with(const char *word, const char *pattern)
{
    for (; *pattern; word++, pattern++)
        if (*pattern != '?' && *pattern != *word)
            return false;
    return true;
}

static bool names_codec(const char *codecs, const struct player_track *track)
{
    if (!track->is_there)
        return true;
    if (!track->codec[0])
        return false;
    for (const char *at = codecs; *at; at += strcspn(at, ","), at += *at == ',')
        if (begins_with(at, track->codec))
            return true;
    return false;
}

static bool check_codecs(struct player *player, const struct variant *variant)
{
    char codecs[LINE_BYTES];
    const struct player_media *media = variant->media;
    attribute(variant->attributes, "CODECS", codecs);
    if (names_codec(codecs, &media->video) && names_codec(codecs, &media->audio))
        return true;
    return complain(player, "%s: CODECS is \"%s\", the streams are %s and %s", media->path, codecs,
                    media->video.codec, media->audio.codec);
}

static bool check_variant(struct player *player, const struct master *master,
                          const struct variant *variant)
{
    char said[LINE_BYTES];
    const struct player_media *media = variant->media;
    TEXT(size) = must_printf("%dx%d", media->width, media->height);
    if (!media->video.is_there)
        return complain(player, "%s: it has no pictures", media->path);
    if (strcmp(attribute(variant->attributes, "RESOLUTION", said), size) != 0)
        return complain(player, "%s: RESOLUTION is %s, the pictures %s", media->path, said, size);
    return check_rates(player, master, variant) && check_codecs(player, variant);
}

/* ---- all against the first ------------------------------------------------------------------- */

static bool is_copy(const struct player_media *media)
{
    return strncmp(media->path, "original", strlen("original")) == 0;
}

static bool check_track(struct player *player, const char *path, const struct player_track *track,
                        const struct player_track *first)
{
    if (track->is_there == first->is_there &&
        (!first->is_there || (fabs(track->start_s - first->start_s) <= TOGETHER_S &&
                              fabs(track->end_s - first->end_s) <= ENDS_TOGETHER_S)))
        return true;
    return complain(player, "%s: a stream from %.3f s to %.3f s, in another rendition %.3f to %.3f",
                    path, track->start_s, track->end_s, first->start_s, first->end_s);
}

static bool check_keyframes(struct player *player, const struct player_media *media,
                            const struct player_media *first)
{
    bool is_same = media->count == first->count && media->keyframe_count == first->keyframe_count;
    for (size_t i = 0; is_same && i < media->count; i++)
        is_same = fabs(media->segments[i].extinf_s - first->segments[i].extinf_s) <= SAME_S;
    for (size_t i = 0; is_same && i < media->keyframe_count; i++)
        is_same = fabs(media->keyframes_s[i] - first->keyframes_s[i]) <= SAME_S;
    return is_same || complain(player, "%s: it is not cut where %s is", media->path, first->path);
}

static bool check_together(struct player *player, const struct player_media *media,
                           const struct player_media *first)
{
    if (media->target_s != first->target_s)
        return complain(player, "%s: the target duration is %ld s, in %s %ld s", media->path,
                        media->target_s, first->path, first->target_s);
    if (fabs(media->total_s - first->total_s) > ENDS_TOGETHER_S)
        return complain(player, "%s is %.3f s long, %s %.3f s", media->path, media->total_s,
                        first->path, first->total_s);
    if (!check_track(player, media->path, &media->video, &first->video) ||
        !check_track(player, media->path, &media->audio, &first->audio))
        return false;
    return is_copy(media) || is_copy(first) || check_keyframes(player, media, first);
}

static bool check_sound(struct player *player, const struct player_media *sound,
                        const struct player_media *first)
{
    if (sound->target_s != first->target_s)
        return complain(player, "%s: the target duration is %ld s, in %s %ld s", sound->path,
                        sound->target_s, first->path, first->target_s);
    return check_track(player, sound->path, &sound->audio,
                       first->audio.is_there ? &first->audio : &first->video);
}

static bool check_master(struct player *player, const struct master *master)
{
    for (size_t i = 0; i < master->count; i++)
        if (!check_variant(player, master, &master->variants[i]) ||
            !check_together(player, master->variants[i].media, master->variants[0].media))
            return false;
    for (size_t i = 0; i < master->sound_count; i++)
        if (!check_sound(player, master->sound[i], master->variants[0].media))
            return false;
    return true;
}

/* ---- manifest.mpd ---------------------------------------------------------------------------- */

static const char *xml_attribute(const char *tag, const char *name, char value[LINE_BYTES])
{
    TEXT(wanted) = must_printf(" %s=\"", name);
    const char *end = strchr(tag, '>'), *at = strstr(tag, wanted);
    value[0] = '\0';
    if (at && end && at < end)
        snprintf(value, LINE_BYTES, "%.*s", (int)strcspn(at + strlen(wanted), "\""),
                 at + strlen(wanted));
    return value;
}

static bool check_timeline(struct player *player, const struct player_media *media,
                           const char *representation)
{
    char value[LINE_BYTES];
    const char *template = strstr(representation, "<SegmentTemplate");
    const char *end = strstr(representation, "</SegmentTimeline>");
    size_t i = 0;
    if (!template || !end)
        return complain(player, "manifest.mpd: %s has no timeline", media->path);
    double scale = strtod(xml_attribute(template, "timescale", value), NULL);
    double offset_s = strtod(xml_attribute(template, "presentationTimeOffset", value), NULL) /
                      scale;
    for (const char *at = template; (at = strstr(at, "<S ")) && at < end; at++) {
        double duration_s = strtod(xml_attribute(at, "d", value), NULL) / scale;
        const char *t = xml_attribute(at, "t", value);
        if (t[0] && fabs(strtod(t, NULL) / scale - offset_s) > SAME_S)
            return complain(player, "manifest.mpd: %s begins at another time than its period",
                            media->path);
        long more = strtol(xml_attribute(at, "r", value), NULL, 10);
        for (; more >= 0; more--, i++)
            if (i >= media->count || fabs(duration_s - media->segments[i].extinf_s) > SAME_S)
                return complain(player, "manifest.mpd: segment %zu of %s is %.3f s long there", i,
                                media->path, duration_s);
    }
    return i == media->count || complain(player, "manifest.mpd: %zu of %zu segments of %s", i,
                                         media->count, media->path);
}

static bool check_representation(struct player *player, const struct variant *variant,
                                 const char *mpd)
{
    char said[LINE_BYTES], wanted[LINE_BYTES];
    const char *path = variant->media->path;
    TEXT(tag) = must_printf("<Representation id=\"%.*s\"", (int)strcspn(path, "/"), path);
    const char *at = strstr(mpd, tag);
    if (!at)
        return complain(player, "manifest.mpd does not name %s", path);
    bool has_group = attribute(variant->attributes, "AUDIO", wanted)[0] != '\0';
    if (!has_group && strcmp(xml_attribute(at, "bandwidth", said),
                             attribute(variant->attributes, "BANDWIDTH", wanted)) != 0)
        return complain(player, "manifest.mpd: the bandwidth of %s is %s, elsewhere %s", path, said,
                        wanted);
    /* Where sound is a set of its own, its codec is named there. */
    if (!xml_attribute(at, "codecs", said)[0] ||
        !strstr(attribute(variant->attributes, "CODECS", wanted), said))
        return complain(player, "manifest.mpd: the codecs of %s are %s, elsewhere %s", path, said,
                        wanted);
    return check_timeline(player, variant->media, at);
}

static bool check_mpd(struct player *player, const struct master *master)
{
    char said[LINE_BYTES];
    double duration_s, longest_s = 0;
    TEXT(path) = must_printf("%s/manifest.mpd", player->directory);
    TEXT(mpd) = file_read(path);
    const char *tag = strstr(mpd, "<MPD ");
    if (!tag ||
        sscanf(xml_attribute(tag, "mediaPresentationDuration", said), "PT%lfS", &duration_s) != 1)
        return complain(player, "manifest.mpd is not there or has no duration");
    for (size_t i = 0; i < master->count; i++) {
        longest_s = fmax(longest_s, master->variants[i].media->total_s);
        if (!check_representation(player, &master->variants[i], mpd))
            return false;
    }
    return fabs(duration_s - longest_s) <= SAME_S ||
           complain(player, "manifest.mpd is %.3f s long, the playlists %.3f s", duration_s,
                    longest_s);
}

/* ---- the whole ------------------------------------------------------------------------------- */

char *player_complaint(const char *directory)
{
    struct player player = {.directory = directory};
    struct master *master = must_calloc(1, sizeof *master);
    bool is_good = read_master(&player, master) && check_master(&player, master) &&
                   check_mpd(&player, master);
    for (size_t i = 0; i < VARIANTS_MAX; i++) {
        free(master->variants[i].media);
        free(master->sound[i]);
    }
    free(master);
    return is_good ? NULL : must_strdup(player.complaint);
}

void player_reads(const char *directory)
{
    TEXT(complaint) = player_complaint(directory);
    cr_assert(!complaint, "a player refuses %s: %s", directory, complaint);
}
