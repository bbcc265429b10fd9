#include "agent/media/check.h"

#include "agent/api/session.h"
#include "agent/media/check_original.h"
#include "agent/media/probe.h"
#include "base/log.h"
#include "lib/cleanup.h"
#include "lib/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TOLERANCE_SHARE   0.01
#define TOLERANCE_SECONDS 0.5

static bool is_long_enough(double got_s, double source_s)
{
    double allowed = fmax(source_s * TOLERANCE_SHARE, TOLERANCE_SECONDS);
    return fabs(got_s - source_s) <= allowed;
}

int check_duration(enum tailslate_quality quality, double got_s, double source_s, struct error *err)
{
    if (is_long_enough(got_s, source_s))
        return 0;
    return error_set(err, ERROR_TEMPORARY, 0, "%s is %.1f s long, but the source is %.1f s long",
                     tailslate_quality_name(quality), got_s, source_s);
}

/* ---- files ----------------------------------------------------------------------------------- */

static int64_t file_size(int directory, const char *name, struct error *err)
{
    struct stat status;
    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return error_set(err, ERROR_TEMPORARY, errno, "%s is missing", name);
    if (!S_ISREG(status.st_mode) || status.st_size == 0)
        return error_set(err, ERROR_TEMPORARY, 0, "%s is empty", name);
    return status.st_size;
}

static int check_segments(int directory, struct check_rendition *rendition, struct error *err)
{
    const struct playlist *list = &rendition->playlist;
    rendition->bytes = must_calloc(list->count, sizeof *rendition->bytes);
    for (size_t i = 0; i < list->count; i++) {
        rendition->bytes[i] = file_size(directory, list->segments[i].name, err);
        if (rendition->bytes[i] < 0)
            return -1;
    }
    rendition->rates = measure_rates(list, rendition->bytes, measure_target_s(list));
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
    measure_codecs((const unsigned char *)init, size, &rendition->codecs);
    return 0;
}

static int check_list(const struct playlist *list, struct error *err)
{
    if (!list->ended)
        return error_set(err, ERROR_TEMPORARY, 0, "the playlist has no EXT-X-ENDLIST");
    if (list->count == 0)
        return error_set(err, ERROR_TEMPORARY, 0, "the playlist is empty");
    if (list->foreign)
        return error_set(
            err, ERROR_TEMPORARY, 0,
            "the playlist has byte ranges, keys, discontinuities or segments without a duration");
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
            error_set(err, ERROR_TEMPORARY, ENOENT, "the playlist is missing");
        return -1;
    }
    if (playlist_parse(text, size, &rendition->playlist, err) < 0)
        return -1;
    if (check_list(&rendition->playlist, err) == 0 &&
        check_segments(directory, rendition, err) == 0 &&
        read_codecs(directory, rendition, err) == 0)
        return 0;
    check_rendition_fini(rendition);
    return -1;
}

/* ---- with ffprobe ---------------------------------------------------------------------------- */

static int check_size(const struct check_rendition *rendition, const struct probe *source,
                      const struct probe *probe, struct error *err)
{
    int64_t width = rendition->plan.width, height = rendition->plan.height;
    /* A copy keeps its pixels as coded. */
    if (rendition->plan.quality == TAILSLATE_QUALITY_ORIGINAL) {
        width = source->coded_width;
        height = source->coded_height;
    }
    if (probe->coded_width == width && probe->coded_height == height)
        return 0;
    return error_set(err, ERROR_TEMPORARY, 0, "it has %lldx%lld pixels, but %lldx%lld were planned",
                     (long long)probe->coded_width, (long long)probe->coded_height,
                     (long long)width, (long long)height);
}

static int check_length(struct session *session, const char *path,
                        const struct check_rendition *rendition, const struct probe *source,
                        struct probe *probe, struct error *err)
{
    enum tailslate_quality quality = rendition->plan.quality;
    double listed_s = (double)rendition->playlist.total_us / 1e6;
    if (is_long_enough(listed_s, source->duration_s))
        return 0;
    /* In a copy with a variable frame rate, the last EXTINF is the muxer's guess: measure the video
     * itself before rejecting good work. */
    if (quality == TAILSLATE_QUALITY_ORIGINAL &&
        probe_measure_playlist(session, path, probe, err) == 0)
        listed_s = probe->duration_s;
    return check_duration(quality, listed_s, source->duration_s, err);
}

static int check_rendition(struct session *session, int output, const struct probe *source,
                           struct check_rendition *rendition, struct error *err)
{
    const char *name = tailslate_quality_name(rendition->plan.quality);
    FD(directory) = openat(output, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (directory < 0)
        return error_set(err, ERROR_TEMPORARY, errno, "%s is missing", name);
    if (check_files(directory, rendition, err) < 0)
        return error_wrap(err, "%s", name);
    TEXT(path) = must_printf("%s/%s/%s", RECORD_OUTPUT, name, LADDER_PLAYLIST);
    struct probe probe;
    /* Check the duration first: a truncated video may have no frames at all. */
    if (check_length(session, path, rendition, source, &probe, err) == 0 &&
        probe_playlist(session, path, &probe, err) == 0 &&
        check_size(rendition, source, &probe, err) == 0) {
        rendition->frame_rate = probe.frame_rate;
        rendition->range = probe.range;
        rendition->start_us = llround(probe.start_s * 1e6);
        return 0;
    }
    check_rendition_fini(rendition);
    err->class = ERROR_TEMPORARY;
    return strncmp(err->message, name, strlen(name)) == 0 ? -1 : error_wrap(err, "%s", name);
}

static const struct check_rendition *encoded(const struct check *check)
{
    for (size_t i = 0; i < check->count; i++)
        if (check->renditions[i].plan.quality != TAILSLATE_QUALITY_ORIGINAL)
            return &check->renditions[i];
    return NULL;
}

static int run_original_check(int output, const struct check *check,
                              const struct check_rendition *original, double source_s,
                              struct error *err)
{
    struct original_check job = {
        .output = output, .source_s = source_s, .playlist = &original->playlist};
    const struct check_rendition *other = encoded(check);
    if (other) {
        job.encoded = tailslate_quality_name(other->plan.quality);
        job.encoded_playlist = &other->playlist;
    }
    if (original->codecs.video == TAILSLATE_CODEC_ABSENT)
        return error_set(err, ERROR_TEMPORARY, 0,
                         "its init.mp4 names no codec that players support");
    return check_original_playlist(&job, err);
}

/* The last of the ladder, so that it can be compared with the others. */
static int check_original(struct session *session, int output, const struct probe *source,
                          struct check *check, struct error *err)
{
    struct check_rendition *rendition = &check->renditions[check->count];
    if (check_rendition(session, output, source, rendition, err) < 0)
        return -1;
    if (run_original_check(output, check, rendition, source->duration_s, err) == 0)
        return 0;
    check_rendition_fini(rendition);
    return -1;
}

static int check_one(struct session *session, int output, const struct probe *source,
                     struct check *check, struct error *err)
{
    struct check_rendition *rendition = &check->renditions[check->count];
    bool is_original = rendition->plan.quality == TAILSLATE_QUALITY_ORIGINAL;
    int result = is_original ? check_original(session, output, source, check, err)
                             : check_rendition(session, output, source, rendition, err);
    if (result == 0) {
        check->count++;
        return 0;
    }
    if (!is_original || err->code == ECANCELED)
        return -1;
    check->is_without_original = true;
    check->why = *err;
    return 0;
}

int check_output(struct session *session, int output, const struct probe *source,
                 const struct ladder *ladder, struct check *check, struct error *err)
{
    *check = (struct check){.count = 0};
    for (size_t i = 0; i < ladder->count; i++) {
        check->renditions[check->count] = (struct check_rendition){.plan = ladder->renditions[i]};
        if (check_one(session, output, source, check, err) < 0) {
            check_fini(check);
            return -1;
        }
    }
    return 0;
}

void check_measure_together(struct check *check)
{
    for (size_t i = 0; i < check->count; i++)
        check_raise_target(check, &check->renditions[i].playlist);
    for (size_t i = 0; i < check->count; i++) {
        struct check_rendition *rendition = &check->renditions[i];
        rendition->rates = measure_rates(&rendition->playlist, rendition->bytes, check->target_s);
    }
}

void check_raise_target(struct check *check, const struct playlist *playlist)
{
    int64_t target_s = measure_target_s(playlist);
    check->target_s = target_s > check->target_s ? target_s : check->target_s;
}

void check_rendition_fini(struct check_rendition *rendition)
{
    playlist_fini(&rendition->playlist);
    free(rendition->bytes);
    rendition->bytes = NULL;
}

void check_fini(struct check *check)
{
    for (size_t i = 0; i < check->count; i++)
        check_rendition_fini(&check->renditions[i]);
    *check = (struct check){.count = 0};
}

/* ---- audio renditions ------------------------------------------------------------------------ */

/* The audio tracks with their own files: each is published if its files are complete, otherwise it
 * is left out. */

static int measure_audio_sizes(int directory, const struct playlist *list, int64_t *bytes,
                               struct manifest_audio *audio, struct error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        bytes[i] = file_size(directory, list->segments[i].name, err);
        if (bytes[i] < 0)
            return -1;
    }
    struct rates rates = measure_rates(list, bytes, measure_target_s(list));
    audio->peak_bps = rates.peak_bps;
    audio->average_bps = rates.average_bps;
    return 0;
}

static int measure_audio(int directory, const struct playlist *list, struct manifest_audio *audio,
                         struct error *err)
{
    if (file_size(directory, list->init, err) < 0)
        return -1;
    int64_t *bytes = must_calloc(list->count, sizeof *bytes);
    int result = measure_audio_sizes(directory, list, bytes, audio, err);
    free(bytes);
    return result;
}

static int check_audio_list(const struct playlist *list, struct error *err)
{
    if (!list->ended || list->foreign || !list->init)
        return error_set(err, ERROR_TEMPORARY, 0, "the playlist is not complete");
    if (list->count == 0 || list->total_us <= 0)
        return error_set(err, ERROR_TEMPORARY, 0, "the playlist is empty");
    return 0;
}

static int check_track(int directory, const char *name, struct check *check,
                       struct manifest_audio *audio, struct error *err)
{
    TEXT(text) = NULL;
    size_t size;
    struct playlist list;
    if (durable_read(directory, name, PLAYLIST_MAX_BYTES, &text, &size, err) < 0 ||
        playlist_parse(text, size, &list, err) < 0)
        return -1;
    int result = check_audio_list(&list, err) < 0 ? -1
                                                  : measure_audio(directory, &list, audio, err);
    if (result == 0)
        check_raise_target(check, &list);
    playlist_fini(&list);
    return result;
}

/* Without its playlist it is neither uploaded nor listed. */
static void leave_out(int directory, const char *name, const struct audio_track *track,
                      const struct error *why, struct tailslate_warnings *warnings)
{
    struct error err;
    tailslate_warnings_add(warnings, "audio stream %d (%s) is left out: %s", track->index,
                           track->codec, why->message);
    if (durable_unlink(directory, name, &err) < 0)
        log_warning("step.audio_track_left_out", LOG_TEXT("reason", err.message));
}

void check_audio(int output, const struct probe *source, const struct ladder *ladder,
                 struct check *check, struct tailslate_warnings *warnings)
{
    if (ladder->audio_files == 0)
        return;
    FD(directory) = openat(output, tailslate_quality_name(ladder->audio_home),
                           O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    for (size_t number = 0; number < ladder->audio_files; number++) {
        struct manifest_audio audio = {
            .track = &source->audio.tracks[number], .home = ladder->audio_home, .number = number};
        struct error why;
        char name[AUDIO_FILE_BYTES];
        snprintf(name, sizeof name, AUDIO_PLAYLIST, number);
        if (check_track(directory, name, check, &audio, &why) == 0)
            check->audio[check->audio_count++] = audio;
        else
            leave_out(directory, name, audio.track, &why, warnings);
    }
    /* If the first track's own files are incomplete, players find it in the renditions. */
    if (check->audio_count == 1 || check->audio[0].number > 0)
        check->audio_count = 0;
}
