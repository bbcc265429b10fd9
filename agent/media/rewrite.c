#include "agent/media/rewrite.h"

#include "agent/media/box.h"
#include "agent/media/measure.h"
#include "lib/cleanup.h"
#include "lib/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- target durations ------------------------------------------------------------------------ */

#define TAG "\n#EXT-X-TARGETDURATION:"

char *rewrite_target_text(const char *text, int64_t target_s)
{
    const char *tag = strstr(text, TAG);
    if (!tag)
        return NULL;
    const char *number = tag + strlen(TAG);
    const char *rest = number + strcspn(number, "\r\n");
    TEXT(said) = must_printf("%.*s", (int)(rest - number), number);
    TEXT(wanted) = must_printf("%lld", (long long)target_s);
    if (strcmp(said, wanted) == 0)
        return NULL;
    return must_printf("%.*s%s%s", (int)(number - text), text, wanted, rest);
}

static int write_target(int output, enum tailslate_quality home, const char *name, int64_t target_s,
                        struct error *err)
{
    TEXT(text) = NULL;
    size_t size;
    FD(directory) = openat(output, tailslate_quality_name(home),
                           O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (directory < 0)
        return error_errno(err, "%s", tailslate_quality_name(home));
    if (durable_read(directory, name, PLAYLIST_MAX_BYTES, &text, &size, err) < 0)
        return -1;
    TEXT(better) = rewrite_target_text(text, target_s);
    return better ? durable_write(directory, name, better, strlen(better), err) : 0;
}

int rewrite_target(int output, const struct check *check, struct error *err)
{
    char name[AUDIO_FILE_BYTES];
    for (size_t i = 0; i < check->count; i++)
        if (write_target(output, check->renditions[i].plan.quality, LADDER_PLAYLIST,
                         check->target_s, err) < 0)
            return -1;
    for (size_t i = 0; i < check->audio_count; i++) {
        snprintf(name, sizeof name, AUDIO_PLAYLIST, check->audio[i].number);
        if (write_target(output, check->audio[i].home, name, check->target_s, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- video only ------------------------------------------------------------------------------ */

enum { HEADER_BYTES = 8, MOOF_MAX_BYTES = 16 * 1024 * 1024, BOXES_MAX = 64 };

/* ---- the movie ------------------------------------------------------------------------------- */

static void put32(unsigned char *out, size_t value)
{
    for (int i = 0; i < 4; i++)
        out[i] = (unsigned char)(value >> (24 - 8 * i));
}

/* body is that of a trak: its number comes after two times of 4 or 8 bytes. */
static uint32_t number_of_track(struct span body)
{
    struct span header;
    if (!box_find(body, "tkhd", &header) || header.size == 0)
        return 0;
    header = span_skip(header, header.data[0] == 1 ? 20 : 12);
    return span_take32(&header);
}

static bool is_foreign(const char *type, struct span body, uint32_t track)
{
    if (strcmp(type, "trak") == 0)
        return number_of_track(body) != track;
    if (strcmp(type, "trex") != 0)
        return false;
    body = span_skip(body, 4);
    return span_take32(&body) != track;
}

/* The boxes of *from without those of other tracks, also within moov and mvex. */
static size_t copy_boxes(struct span from, uint32_t track, unsigned char *out)
{
    struct span body;
    char type[5];
    size_t size = 0;
    while (box_next(&from, type, &body)) {
        bool is_parent = strcmp(type, "moov") == 0 || strcmp(type, "mvex") == 0;
        if (is_foreign(type, body, track))
            continue;
        size_t inner = body.size;
        if (is_parent)
            inner = copy_boxes(body, track, out + size + HEADER_BYTES);
        else
            memcpy(out + size + HEADER_BYTES, body.data, body.size);
        put32(out + size, inner + HEADER_BYTES);
        memcpy(out + size + 4, type, 4);
        size += inner + HEADER_BYTES;
    }
    return size;
}

size_t rewrite_video_init(struct span init, uint32_t track, unsigned char *out)
{
    return copy_boxes(init, track, out);
}

/* ---- a segment ------------------------------------------------------------------------------- */

static int no_part(struct error *err, const char *name)
{
    return error_set(err, ERROR_TEMPORARY, 0, "%s does not begin with a video-only part", name);
}

/* Does this moof contain only the video track? */
static bool is_alone(int fd, off_t at, size_t size, uint32_t track)
{
    if (size > MOOF_MAX_BYTES)
        return false;
    unsigned char *data = must_malloc(size);
    struct span rest = {data, size}, body, header;
    char type[5];
    int tracks = 0;
    bool is_ours = false;
    if (pread(fd, data, size, at) == (ssize_t)size)
        while (box_next(&rest, type, &body)) {
            if (strcmp(type, "traf") != 0 || !box_find(body, "tfhd", &header))
                continue;
            tracks++;
            header = span_skip(header, 4);
            is_ours = span_take32(&header) == track;
        }
    free(data);
    return tracks == 1 && is_ours;
}

/* How many bytes at the start contain only video. */
static int64_t measure_part(int directory, const char *name, int64_t end, uint32_t track,
                            struct error *err)
{
    FD(fd) = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    int64_t at = 0;
    bool has_video = false;
    for (int boxes = 0; fd >= 0 && at < end && boxes < BOXES_MAX; boxes++) {
        unsigned char header[HEADER_BYTES];
        if (pread(fd, header, sizeof header, at) != sizeof header)
            break;
        struct span rest = {header, sizeof header};
        int64_t size = span_take32(&rest);
        if (size < HEADER_BYTES || size > end - at)
            break;
        if (memcmp(rest.data, "moof", 4) == 0) {
            has_video = is_alone(fd, at + HEADER_BYTES, (size_t)size - HEADER_BYTES, track);
            if (!has_video)
                break;
        }
        at += size;
        if (has_video && memcmp(rest.data, "mdat", 4) == 0)
            return at;
    }
    return no_part(err, name);
}

/* ---- a rendition ----------------------------------------------------------------------------- */

static char *print_playlist(const struct playlist *list, const int64_t *bytes, int64_t target_s)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    must(out);
    fprintf(out,
            "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:%lld\n#EXT-X-MEDIA-SEQUENCE:0\n"
            "#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-INDEPENDENT-SEGMENTS\n"
            "#EXT-X-MAP:URI=\"" LADDER_VIDEO_INIT "\"\n",
            (long long)target_s);
    for (size_t i = 0; i < list->count; i++)
        fprintf(out, "#EXTINF:%.6f,\n#EXT-X-BYTERANGE:%lld@0\n%s\n",
                (double)list->segments[i].duration_us / 1e6, (long long)bytes[i],
                list->segments[i].name);
    fputs("#EXT-X-ENDLIST\n", out);
    must(!ferror(out));
    must(fclose(out) == 0);
    return text;
}

static int write_init(int directory, const struct playlist *list, struct fragment_movie *movie,
                      struct error *err)
{
    TEXT(init) = NULL;
    size_t size;
    if (durable_read(directory, list->init, CODECS_INIT_MAX_BYTES, &init, &size, err) < 0)
        return -1;
    struct span whole = {(const unsigned char *)init, size};
    if (!fragment_read_movie(whole, FRAGMENT_VIDEO, movie))
        return error_set(err, ERROR_TEMPORARY, 0, "%s has no video track", list->init);
    TEXT(alone) = must_malloc(size);
    size_t written = rewrite_video_init(whole, movie->track, (unsigned char *)alone);
    return durable_write(directory, LADDER_VIDEO_INIT, alone, written, err);
}

static int write_list(int directory, struct check_rendition *rendition, uint32_t track,
                      int64_t target_s, int64_t *parts, struct error *err)
{
    const struct playlist *list = &rendition->playlist;
    for (size_t i = 0; i < list->count; i++) {
        parts[i] = measure_part(directory, list->segments[i].name, rendition->bytes[i], track, err);
        if (parts[i] < 0)
            return -1;
    }
    rendition->video_rates = measure_rates(list, parts, target_s);
    TEXT(text) = print_playlist(list, parts, target_s);
    return durable_write(directory, LADDER_VIDEO_PLAYLIST, text, strlen(text), err);
}

static int write_one(int output, struct check_rendition *rendition, int64_t target_s,
                     struct error *err)
{
    const char *name = tailslate_quality_name(rendition->plan.quality);
    struct fragment_movie movie;
    FD(directory) = openat(output, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (directory < 0)
        return error_errno(err, "%s", name);
    if (write_init(directory, &rendition->playlist, &movie, err) < 0)
        return -1;
    rendition->start_us -= movie.shift * 1000000 / movie.timescale;
    if (rendition->start_us < 0) /* the audio's, because of the encoder's delay */
        rendition->start_us = 0;
    int64_t *parts = must_calloc(rendition->playlist.count, sizeof *parts);
    int result = write_list(directory, rendition, movie.track, target_s, parts, err);
    free(parts);
    return result < 0 ? error_wrap(err, "%s", name) : 0;
}

int rewrite_video_only(int output, struct check *check, struct error *err)
{
    for (size_t i = 0; i < check->count; i++)
        if (write_one(output, &check->renditions[i], check->target_s, err) < 0)
            return -1;
    return 0;
}
