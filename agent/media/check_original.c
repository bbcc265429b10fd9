#include "agent/media/check_original.h"

#include "agent/media/box.h"
#include "agent/media/measure.h"
#include "lib/cleanup.h"
#include "lib/durable.h"

#include "tailslate/quality.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BOX_HEADER_BYTES = 8,
    MOOF_MAX_BYTES = 16 * 1024 * 1024,
    BOXES_MAX = 10 * 1000, /* at the top of a segment */
    START_LIMIT_US = 100 * 1000,
    SEEK_LIMIT_US = 250 * 1000,
    SEGMENT_LIMIT_US = 20 * 1000 * 1000,
    TOLERANCE_US = 500 * 1000,
};

__attribute__((format(printf, 2, 3))) static int refuse(struct error *err, const char *format, ...)
{
    char why[ERROR_MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    return error_set(err, ERROR_TEMPORARY, 0, "%s", why);
}

/* ---- reading --------------------------------------------------------------------------------- */

static int add_moof(int fd, off_t at, size_t size, const struct fragment_movie *movie,
                    struct fragment *fragment, struct error *err)
{
    if (size > MOOF_MAX_BYTES)
        return refuse(err, "a segment has a header longer than %d bytes", MOOF_MAX_BYTES);
    unsigned char *body = must_malloc(size);
    bool is_whole = pread(fd, body, size, at) == (ssize_t)size;
    if (is_whole)
        fragment_add(movie, (struct span){body, size}, fragment);
    free(body);
    return is_whole ? 0 : refuse(err, "a segment is truncated");
}

static int read_boxes(int fd, off_t end, const struct fragment_movie *movie,
                      struct fragment *fragment, struct error *err)
{
    off_t at = 0;
    for (int boxes = 0; at < end; boxes++) {
        unsigned char header[BOX_HEADER_BYTES];
        if (boxes == BOXES_MAX || pread(fd, header, sizeof header, at) != sizeof header)
            return refuse(err, "a segment is truncated");
        struct span rest = {header, sizeof header};
        off_t size = span_take32(&rest);
        if (size < BOX_HEADER_BYTES || size > end - at)
            return refuse(err, "a segment is truncated");
        if (memcmp(rest.data, "moof", 4) == 0 &&
            add_moof(fd, at + BOX_HEADER_BYTES, (size_t)size - BOX_HEADER_BYTES, movie, fragment,
                     err) < 0)
            return -1;
        at += size;
    }
    return 0;
}

static int read_segment(int directory, const char *name, const struct fragment_movie *movie,
                        struct fragment *fragment, struct error *err)
{
    struct stat status;
    *fragment = (struct fragment){.frames = 0};
    FD(fd) = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0)
        return error_set(err, ERROR_TEMPORARY, errno, "cannot read %s", name);
    if (read_boxes(fd, status.st_size, movie, fragment, err) < 0)
        return error_wrap(err, "%s", name);
    return 0;
}

/* The descriptor; *movie: its track of this kind, timescale 0: there is none. */
static int open_rendition(int output, const char *name, const struct playlist *playlist,
                          const char *kind, struct fragment_movie *movie, struct error *err)
{
    TEXT(init) = NULL;
    size_t size;
    int fd = openat(output, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, "%s", name);
    if (durable_read(fd, playlist->init, CODECS_INIT_MAX_BYTES, &init, &size, err) < 0) {
        close(fd);
        return -1;
    }
    fragment_read_movie((struct span){(const unsigned char *)init, size}, kind, movie);
    return fd;
}

/* Of the first segment; empty if there is no such track. */
static int read_first(int output, const char *name, const struct playlist *playlist,
                      const char *kind, struct fragment *first, struct error *err)
{
    struct fragment_movie movie;
    *first = (struct fragment){.frames = 0};
    FD(fd) = open_rendition(output, name, playlist, kind, &movie, err);
    if (fd < 0)
        return -1;
    return movie.timescale == 0 ? 0
                                : read_segment(fd, playlist->segments[0].name, &movie, first, err);
}

/* ---- judging --------------------------------------------------------------------------------- */

static double seconds(int64_t us)
{
    return (double)us / 1e6;
}

static bool is_near(int64_t left_us, int64_t right_us, int64_t limit_us)
{
    return llabs(left_us - right_us) <= limit_us;
}

/* Applies to audio, too: browsers play at once what only an edit list delays. */
static int check_start(const struct original_check *check, const char *kind, const char *what,
                       struct error *err)
{
    struct fragment own, other;
    if (!check->encoded)
        return 0;
    if (read_first(check->output, tailslate_quality_name(TAILSLATE_QUALITY_ORIGINAL),
                   check->playlist, kind, &own, err) < 0 ||
        read_first(check->output, check->encoded, check->encoded_playlist, kind, &other, err) < 0)
        return -1;
    if (own.frames == 0 || other.frames == 0 ||
        is_near(own.start_us, other.start_us, START_LIMIT_US))
        return 0;
    return refuse(err, "its %s at %.2f s, but in %s at %.2f s", what, seconds(own.start_us),
                  check->encoded, seconds(other.start_us));
}

static int check_starts(const struct original_check *check, struct error *err)
{
    if (check_start(check, FRAGMENT_VIDEO, "video begins", err) < 0)
        return -1;
    return check_start(check, FRAGMENT_AUDIO, "audio begins", err);
}

static int check_length(const struct original_check *check, const struct fragment *last,
                        int64_t start_us, struct error *err)
{
    int64_t listed_us = check->playlist->total_us, shown_us = last->end_us - start_us;
    int64_t wanted_us = check->encoded ? check->encoded_playlist->total_us
                                       : (int64_t)(check->source_s * 1e6);
    int64_t tolerance_us = wanted_us / 100 > TOLERANCE_US ? wanted_us / 100 : TOLERANCE_US;
    if (!is_near(listed_us, wanted_us, tolerance_us))
        return refuse(err, "its playlist is %.1f s long, not %.1f s", seconds(listed_us),
                      seconds(wanted_us));
    /* The duration of the last frame is the muxer's guess. */
    if (!is_near(listed_us, shown_us, SEEK_LIMIT_US + last->longest_us))
        return refuse(err, "its playlist is %.1f s long, but its video is %.1f s long",
                      seconds(listed_us), seconds(shown_us));
    return 0;
}

static int check_segment(const struct original_check *check, size_t i,
                         const struct fragment *fragment, int64_t shown_us, int64_t listed_us,
                         struct error *err)
{
    const struct playlist_segment *segment = &check->playlist->segments[i];
    if (fragment->frames == 0)
        return refuse(err, "%s has no video frame", segment->name);
    if (!fragment->starts_with_key)
        return refuse(err, "%s does not begin with a keyframe", segment->name);
    if (segment->duration_us <= 0)
        return refuse(err, "%s is listed without a duration", segment->name);
    if (segment->duration_us > SEGMENT_LIMIT_US)
        return refuse(err, "%s is %.1f s long, more than %.0f s: the keyframes are too far apart",
                      segment->name, seconds(segment->duration_us), seconds(SEGMENT_LIMIT_US));
    if (!is_near(shown_us, listed_us, SEEK_LIMIT_US))
        return refuse(err, "%s begins at %.2f s, but its playlist says %.2f s", segment->name,
                      seconds(shown_us), seconds(listed_us));
    return 0;
}

static int check_all(const struct original_check *check, int directory,
                     const struct fragment_movie *movie, struct error *err)
{
    struct fragment fragment = {0};
    int64_t first_us = 0, start_us = 0, listed_us = 0;
    for (size_t i = 0; i < check->playlist->count; i++) {
        const struct playlist_segment *segment = &check->playlist->segments[i];
        if (read_segment(directory, segment->name, movie, &fragment, err) < 0)
            return -1;
        if (i == 0) {
            first_us = fragment.first_us;
            start_us = fragment.start_us;
        }
        if (check_segment(check, i, &fragment, fragment.first_us - first_us, listed_us, err) < 0)
            return -1;
        listed_us += segment->duration_us;
    }
    return check_starts(check, err) < 0 ? -1 : check_length(check, &fragment, start_us, err);
}

int check_original_playlist(const struct original_check *check, struct error *err)
{
    struct fragment_movie movie;
    FD(directory) = open_rendition(check->output,
                                   tailslate_quality_name(TAILSLATE_QUALITY_ORIGINAL),
                                   check->playlist, FRAGMENT_VIDEO, &movie, err);
    if (directory < 0)
        return -1;
    if (movie.timescale == 0)
        return refuse(err, "%s has no video track", check->playlist->init);
    return check_all(check, directory, &movie, err);
}
