#include "check.h"

#include "probe.h"
#include "session.h"

#include "tailslate/cleanup.h"
#include "tailslate/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#define TOLERANCE_SHARE   0.01
#define TOLERANCE_SECONDS 0.5

static bool is_long_enough(double got_s, double source_s)
{
    double allowed = fmax(source_s * TOLERANCE_SHARE, TOLERANCE_SECONDS);
    return fabs(got_s - source_s) <= allowed;
}

int check_duration(enum quality quality, double got_s, double source_s, struct error *err)
{
    if (is_long_enough(got_s, source_s))
        return 0;
    return error_set(err, ERROR_TEMPORARY, 0, "%s is %.1f s long, the source %.1f s",
                     quality_name(quality), got_s, source_s);
}

/* ---- files ----------------------------------------------------------------------------------- */

static int64_t file_size(int directory, const char *name, struct error *err)
{
    struct stat status;
    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return error_set(err, ERROR_TEMPORARY, errno, "%s is not there", name);
    if (!S_ISREG(status.st_mode) || status.st_size == 0)
        return error_set(err, ERROR_TEMPORARY, 0, "%s is empty", name);
    return status.st_size;
}

/* The peak is over segments of some length: the bit rate of a last one of a few frames says
 * nothing about the network that a player needs. */
static void measure_rates(struct check_rendition *rendition, int64_t total_bytes, double peak)
{
    int64_t total_us = rendition->playlist.total_us;
    double average = total_us > 0 ? (double)total_bytes * 8e6 / (double)total_us : 0;
    rendition->average_bps = llround(average);
    rendition->peak_bps = llround(fmax(peak, average));
}

static int check_segments(int directory, struct check_rendition *rendition, struct error *err)
{
    const struct playlist *list = &rendition->playlist;
    int64_t total_bytes = 0, longest_us = 0;
    double peak = 0;
    for (size_t i = 0; i < list->count; i++)
        if (list->segments[i].duration_us > longest_us)
            longest_us = list->segments[i].duration_us;
    for (size_t i = 0; i < list->count; i++) {
        const struct playlist_segment *segment = &list->segments[i];
        int64_t size = file_size(directory, segment->name, err);
        if (size < 0)
            return -1;
        total_bytes += size;
        if (segment->duration_us >= longest_us / 2 && segment->duration_us > 0)
            peak = fmax(peak, (double)size * 8e6 / (double)segment->duration_us);
    }
    measure_rates(rendition, total_bytes, peak);
    return 0;
}

static int read_codecs(int directory, struct check_rendition *rendition, struct error *err)
{
    TEXT(init) = NULL;
    size_t size;
    if (file_size(directory, rendition->playlist.init, err) < 0 ||
        durable_read(directory, rendition->playlist.init, CODECS_INIT_MAX_BYTES, &init, &size,
                     err) < 0)
        return -1;
    codecs_read((const unsigned char *)init, size, &rendition->codecs);
    return 0;
}

static int check_list(const struct playlist *list, struct error *err)
{
    if (!list->ended)
        return error_set(err, ERROR_TEMPORARY, 0, "the playlist has no end");
    if (list->count == 0)
        return error_set(err, ERROR_TEMPORARY, 0, "the playlist is empty");
    if (list->foreign)
        return error_set(err, ERROR_TEMPORARY, 0,
                         "the playlist has byte ranges, keys, breaks or untimed segments");
    if (!list->init || strcmp(list->init, LADDER_INIT) != 0 || !list->numbered)
        return error_set(err, ERROR_TEMPORARY, 0,
                         "the files are not named init.mp4 and seg_0000.m4s, seg_0001.m4s, ...");
    return 0;
}

int check_files(int directory, struct check_rendition *rendition, struct error *err)
{
    TEXT(text) = NULL;
    size_t size;
    if (durable_read(directory, LADDER_PLAYLIST, PLAYLIST_MAX_BYTES, &text, &size, err) < 0) {
        if (err->code == ENOENT)
            error_set(err, ERROR_TEMPORARY, ENOENT, "there is no playlist");
        return -1;
    }
    if (playlist_parse(text, size, &rendition->playlist, err) < 0)
        return -1;
    if (check_list(&rendition->playlist, err) == 0 &&
        check_segments(directory, rendition, err) == 0 &&
        read_codecs(directory, rendition, err) == 0)
        return 0;
    playlist_fini(&rendition->playlist);
    return -1;
}

/* ---- with ffprobe ---------------------------------------------------------------------------- */

static int check_size(const struct check_rendition *rendition, const struct probe *source,
                      const struct probe *probe, struct error *err)
{
    int64_t width = rendition->plan.width, height = rendition->plan.height;
    /* A copy keeps its pixels as they were coded. */
    if (rendition->plan.quality == QUALITY_ORIGINAL) {
        width = source->coded_width;
        height = source->coded_height;
    }
    if (probe->coded_width == width && probe->coded_height == height)
        return 0;
    return error_set(err, ERROR_TEMPORARY, 0, "it has %lldx%lld pixels, %lldx%lld were planned",
                     (long long)probe->coded_width, (long long)probe->coded_height,
                     (long long)width, (long long)height);
}

static int check_length(struct session *session, const char *path,
                        const struct check_rendition *rendition, const struct probe *source,
                        struct probe *probe, struct error *err)
{
    enum quality quality = rendition->plan.quality;
    double listed_s = (double)rendition->playlist.total_us / 1e6;
    if (is_long_enough(listed_s, source->duration_s))
        return 0;
    /* The last EXTINF of a copied film of varying rate is a guess of the muxer's: look at the
     * pictures themselves before good work is condemned. */
    if (quality == QUALITY_ORIGINAL && probe_measure_playlist(session, path, probe, err) == 0)
        listed_s = probe->duration_s;
    return check_duration(quality, listed_s, source->duration_s, err);
}

static int check_rendition(struct session *session, int output, const struct probe *source,
                           struct check_rendition *rendition, struct error *err)
{
    const char *name = quality_name(rendition->plan.quality);
    FD(directory) = openat(output, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (directory < 0)
        return error_set(err, ERROR_TEMPORARY, errno, "there is no %s", name);
    if (check_files(directory, rendition, err) < 0)
        return error_wrap(err, "%s", name);
    TEXT(path) = must_printf("%s/%s/%s", RECORD_OUTPUT, name, LADDER_PLAYLIST);
    struct probe probe;
    /* The length first: a film cut short may have no picture in it at all. */
    if (check_length(session, path, rendition, source, &probe, err) == 0 &&
        probe_playlist(session, path, &probe, err) == 0 &&
        check_size(rendition, source, &probe, err) == 0) {
        rendition->frame_rate = probe.frame_rate;
        rendition->range = probe.range;
        rendition->start_us = llround(probe.start_s * 1e6);
        return 0;
    }
    playlist_fini(&rendition->playlist);
    err->class = ERROR_TEMPORARY;
    return strncmp(err->message, name, strlen(name)) == 0 ? -1 : error_wrap(err, "%s", name);
}

int check_output(struct session *session, int output, const struct probe *source,
                 const struct ladder *ladder, struct check *check, struct error *err)
{
    *check = (struct check){.count = 0};
    for (size_t i = 0; i < ladder->count; i++) {
        struct check_rendition *rendition = &check->renditions[check->count];
        rendition->plan = ladder->renditions[i];
        if (check_rendition(session, output, source, rendition, err) < 0) {
            check_fini(check);
            return -1;
        }
        check->count++;
    }
    return 0;
}

void check_fini(struct check *check)
{
    for (size_t i = 0; i < check->count; i++)
        playlist_fini(&check->renditions[i].playlist);
    *check = (struct check){.count = 0};
}
