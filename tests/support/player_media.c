#include "player_media.h"

#include "lib/cleanup.h"
#include "lib/error.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PROBE_MS = 60 * 1000 };
#define EXTINF_LIMIT_S 0.1

bool complain(struct player *player, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(player->complaint, sizeof player->complaint, format, arguments);
    va_end(arguments);
    return false;
}

/* ---- the playlist ---------------------------------------------------------------------------- */

static bool starts(const char *line, const char *with)
{
    return strncmp(line, with, strlen(with)) == 0;
}

/* range_bytes: so many at its front are meant; 0: all. */
static bool take_segment(struct player *player, struct player_media *media, const char *line,
                         double extinf_s, int64_t range_bytes)
{
    struct stat status;
    if (media->count == SEGMENTS_MAX)
        return complain(player, "%s: over %d segments", media->path, SEGMENTS_MAX);
    struct player_segment *segment = &media->segments[media->count++];
    snprintf(segment->name, sizeof segment->name, "%s", line);
    segment->extinf_s = extinf_s;
    media->total_s += extinf_s;
    TEXT(path) = must_printf("%s/%.*s%s", player->directory,
                             (int)(strrchr(media->path, '/') - media->path + 1), media->path, line);
    if (stat(path, &status) != 0 || status.st_size == 0)
        return complain(player, "%s: %s is not there or empty", media->path, line);
    if (range_bytes > status.st_size)
        return complain(player, "%s: %s is shorter than its range", media->path, line);
    segment->bytes = range_bytes > 0 ? range_bytes : status.st_size;
    if (extinf_s <= 0)
        return complain(player, "%s: %s has no EXTINF or one of 0", media->path, line);
    return true;
}

struct playlist_tags {
    bool is_vod, is_ended;
    int version;
    double extinf_s;
    int64_t range_bytes;
};

static bool take_line(struct player *player, struct player_media *media, const char *line,
                      struct playlist_tags *tags)
{
    if (starts(line, "#EXTINF:"))
        tags->extinf_s = strtod(line + strlen("#EXTINF:"), NULL);
    else if (starts(line, "#EXT-X-BYTERANGE:") && strstr(line, "@0"))
        tags->range_bytes = strtoll(line + strlen("#EXT-X-BYTERANGE:"), NULL, 10);
    else if (starts(line, "#EXT-X-TARGETDURATION:"))
        media->target_s = strtol(line + strlen("#EXT-X-TARGETDURATION:"), NULL, 10);
    else if (starts(line, "#EXT-X-VERSION:"))
        tags->version = (int)strtol(line + strlen("#EXT-X-VERSION:"), NULL, 10);
    else if (starts(line, "#EXT-X-MAP:URI=\""))
        snprintf(media->init, sizeof media->init, "%.*s",
                 (int)strcspn(line + strlen("#EXT-X-MAP:URI=\""), "\""),
                 line + strlen("#EXT-X-MAP:URI=\""));
    else if (strcmp(line, "#EXT-X-PLAYLIST-TYPE:VOD") == 0)
        tags->is_vod = true;
    else if (strcmp(line, "#EXT-X-ENDLIST") == 0)
        tags->is_ended = true;
    else if (line[0] != '#') {
        double extinf_s = tags->extinf_s;
        int64_t range_bytes = tags->range_bytes;
        tags->extinf_s = 0;
        tags->range_bytes = 0;
        return take_segment(player, media, line, extinf_s, range_bytes);
    }
    return true;
}

static bool check_tags(struct player *player, const struct player_media *media,
                       const struct playlist_tags *tags)
{
    if (!tags->is_vod || !tags->is_ended || tags->version < 6 || !media->init[0])
        return complain(player, "%s: a VOD playlist of version 6 with a map and an end is wanted",
                        media->path);
    if (media->count == 0)
        return complain(player, "%s: it has no segment", media->path);
    for (size_t i = 0; i < media->count; i++)
        if (media->segments[i].extinf_s > (double)media->target_s)
            return complain(player, "%s: %s has %.3f s, over the target of %ld s", media->path,
                            media->segments[i].name, media->segments[i].extinf_s, media->target_s);
    return true;
}

static bool read_playlist(struct player *player, struct player_media *media)
{
    TEXT(path) = must_printf("%s/%s", player->directory, media->path);
    TEXT(text) = file_read(path);
    struct playlist_tags tags = {.version = 0};
    char *rest = NULL;
    if (!starts(text, "#EXTM3U\n"))
        return complain(player, "%s is not there or no playlist", media->path);
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        if (!take_line(player, media, line, &tags))
            return false;
    return check_tags(player, media, &tags);
}

/* ---- bit rates ------------------------------------------------------------------------------- */

/* RFC 8216, 4.3.4.2: over neighbors that are between 0.5 and 1.5 target durations long. */
static void measure_rates(struct player_media *media)
{
    double all_bits = 0;
    for (size_t i = 0; i < media->count; i++) {
        double bits = 0, length_s = 0;
        all_bits += (double)media->segments[i].bytes * 8;
        for (size_t j = i; j < media->count; j++) {
            bits += (double)media->segments[j].bytes * 8;
            length_s += media->segments[j].extinf_s;
            if (length_s >= 0.5 * (double)media->target_s &&
                length_s <= 1.5 * (double)media->target_s)
                media->peak_bps = fmax(media->peak_bps, bits / length_s);
        }
    }
    media->average_bps = all_bits / media->total_s;
    media->peak_bps = fmax(media->peak_bps, media->average_bps);
}

/* ---- streams --------------------------------------------------------------------------------- */

static int h264_profile(const char *profile)
{
    static const struct {
        const char *name;
        int number;
    } profiles[] = {{"Baseline", 66},    {"Constrained Baseline", 66},
                    {"Main", 77},        {"High", 100},
                    {"High 10", 110},    {"Extended", 88},
                    {"High 4:2:2", 122}, {"High 4:4:4 Predictive", 244}};
    for (size_t i = 0; i < sizeof profiles / sizeof *profiles; i++)
        if (strcmp(profile, profiles[i].name) == 0)
            return profiles[i].number;
    return 0;
}

/* What CODECS has to begin with; the constraint bits of H.264 are told by `?`. */
static void name_codec(const char *codec, const char *profile, int level, char out[CODEC_BYTES])
{
    if (strcmp(codec, "h264") == 0)
        snprintf(out, CODEC_BYTES, "avc1.%02x??%02x", (unsigned)h264_profile(profile),
                 (unsigned)level);
    else if (strcmp(codec, "hevc") == 0)
        snprintf(out, CODEC_BYTES, "hvc1.%d", strcmp(profile, "Main 10") == 0 ? 2 : 1);
    else if (strcmp(codec, "av1") == 0)
        snprintf(out, CODEC_BYTES, "av01.0.%02d", level);
    else if (strcmp(codec, "aac") == 0)
        snprintf(out, CODEC_BYTES, "mp4a.40.%s", strcmp(profile, "HE-AAC") == 0 ? "5" : "2");
    else if (strcmp(codec, "mp3") == 0)
        snprintf(out, CODEC_BYTES, "mp4a.6");
    else if (strcmp(codec, "ac3") == 0)
        snprintf(out, CODEC_BYTES, "ac-3");
    else if (strcmp(codec, "eac3") == 0)
        snprintf(out, CODEC_BYTES, "ec-3");
}

static const char *value_of(const char *text, const char *key, char value[CODEC_BYTES])
{
    const char *at = strstr(text, key);
    value[0] = '\0';
    if (at)
        snprintf(value, CODEC_BYTES, "%.*s", (int)strcspn(at + strlen(key), "|"), at + strlen(key));
    return value;
}

/* "stream|codec_name=h264|profile=High|codec_type=video|width=640|…" */
static void take_stream(struct player_media *media, const char *text)
{
    char codec[CODEC_BYTES], profile[CODEC_BYTES], value[CODEC_BYTES];
    int level = atoi(value_of(text, "level=", value));
    bool is_video = strstr(text, "codec_type=video") != NULL;
    value_of(text, "codec_name=", codec);
    value_of(text, "profile=", profile);
    name_codec(codec, profile, level, is_video ? media->video.codec : media->audio.codec);
    if (!is_video)
        return;
    int above = 1, below = 1;
    if (sscanf(value_of(text, "sample_aspect_ratio=", value), "%d:%d", &above, &below) != 2 ||
        above <= 0 || below <= 0)
        above = below = 1;
    media->height = atoi(value_of(text, "|height=", value));
    media->width = (int)lround((double)atoi(value_of(text, "|width=", value)) * above / below);
}

/* ---- packets --------------------------------------------------------------------------------- */

static void extend(struct player_track *track, double start_s, double end_s)
{
    track->start_s = track->is_there ? fmin(track->start_s, start_s) : start_s;
    track->end_s = track->is_there ? fmax(track->end_s, end_s) : end_s;
    track->is_there = true;
}

struct packets {
    bool has_pictures, has_sound;
    double sound_s;
};

/* "packet|codec_type=video|pts_time=0.080000|duration_time=0.040000|flags=K__" */
static bool take_packet(struct player *player, struct player_media *media,
                        struct player_segment *segment, const char *line, struct packets *packets)
{
    char kind[16], duration[32] = "", flags[8];
    double pts_s;
    int fields = sscanf(line,
                        "packet|codec_type=%15[^|]|pts_time=%lf|duration_time=%31[^|]|flags=%7[^|]",
                        kind, &pts_s, duration, flags);
    double duration_s = strtod(duration, NULL); /* N/A: ffprobe does not know all of them */
    if (fields != 4)
        return complain(player, "%s: %s has a packet without a time: %s", media->path,
                        segment->name, line);
    if (strcmp(kind, "audio") == 0) {
        packets->sound_s = packets->has_sound ? fmin(packets->sound_s, pts_s) : pts_s;
        packets->has_sound = true;
        extend(&media->audio, pts_s, pts_s + duration_s);
        return true;
    }
    if (!packets->has_pictures && flags[0] != 'K')
        return complain(player, "%s: %s does not begin with a keyframe", media->path,
                        segment->name);
    if (!packets->has_pictures)
        segment->start_s = pts_s;
    packets->has_pictures = true;
    if (flags[0] == 'K' && media->keyframe_count < KEYFRAMES_MAX)
        media->keyframes_s[media->keyframe_count++] = pts_s;
    extend(&media->video, pts_s, pts_s + duration_s);
    return true;
}

/* The init segment and one other, as far as it is meant. Owned. */
static char *source_of(const struct player *player, const struct player_media *media,
                       const struct player_segment *segment)
{
    TEXT(home) = must_printf("%s/%.*s", player->directory,
                             (int)(strrchr(media->path, '/') - media->path), media->path);
    return must_printf("concat:%s/%s|subfile,,start,0,end,%lld,,:%s/%s", home, media->init,
                       (long long)segment->bytes, home, segment->name);
}

static struct run probe(const struct player *player, const struct player_media *media,
                        const struct player_segment *segment, const char *entries)
{
    TEXT(source) = source_of(player, media, segment);
    return run_program((const char *[]){"ffprobe", "-v", "error", "-of", "compact", "-show_entries",
                                        entries, "-i", source, NULL},
                       NULL, PROBE_MS);
}

#define PACKETS "packet=codec_type,pts_time,duration_time,flags"
#define STREAMS "stream=codec_name,codec_type,profile,level,width,height,sample_aspect_ratio"

/* With the first segment also the streams: a start of ffprobe takes a tenth of a second. */
static bool read_segment(struct player *player, struct player_media *media,
                         struct player_segment *segment)
{
    struct packets packets = {.has_pictures = false};
    bool is_first = segment == media->segments;
    RUN(run) = probe(player, media, segment, is_first ? PACKETS ":" STREAMS : PACKETS);
    char *rest = NULL;
    if (run.status != 0 || run.err[0])
        return complain(player, "%s: %s cannot be read: %s", media->path, segment->name, run.err);
    for (char *line = strtok_r(run.out, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        if (starts(line, "stream|"))
            take_stream(media, line);
        else if (!take_packet(player, media, segment, line, &packets))
            return false;
    bool wants_pictures = media->video.is_there || !media->audio.is_there;
    if (wants_pictures ? !packets.has_pictures : !packets.has_sound)
        return complain(player, "%s: %s is without its packets", media->path, segment->name);
    if (!wants_pictures)
        segment->start_s = packets.sound_s;
    return true;
}

static bool check_times(struct player *player, const struct player_media *media)
{
    double end_s = media->video.is_there ? media->video.end_s : media->audio.end_s;
    for (size_t i = 0; i < media->count; i++) {
        const struct player_segment *segment = &media->segments[i];
        double next_s = i + 1 < media->count ? segment[1].start_s : end_s;
        if (fabs(next_s - segment->start_s - segment->extinf_s) > EXTINF_LIMIT_S)
            return complain(player, "%s: EXTINF of %s is %.3f s, its packets are %.3f s long",
                            media->path, segment->name, segment->extinf_s,
                            next_s - segment->start_s);
    }
    return true;
}

bool player_media_read(struct player *player, const char *path, struct player_media *media)
{
    *media = (struct player_media){.count = 0};
    snprintf(media->path, sizeof media->path, "%s", path);
    if (!strchr(path, '/'))
        return complain(player, "%s: a directory of its own is wanted", path);
    if (!read_playlist(player, media))
        return false;
    measure_rates(media);
    for (size_t i = 0; i < media->count; i++)
        if (!read_segment(player, media, &media->segments[i]))
            return false;
    return check_times(player, media);
}
