/* The audio tracks with their own files: each is published if its files are complete, otherwise it
 * is left out. */
#include "agent/media/check.h"
#include "base/log.h"
#include "lib/cleanup.h"
#include "lib/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int64_t size_of(int directory, const char *name, struct error *err)
{
    struct stat status;
    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return error_set(err, ERROR_TEMPORARY, errno, "%s is missing", name);
    if (!S_ISREG(status.st_mode) || status.st_size == 0)
        return error_set(err, ERROR_TEMPORARY, 0, "%s is empty", name);
    return status.st_size;
}

static int measure_sizes(int directory, const struct playlist *list, int64_t *bytes,
                         struct manifest_audio *audio, struct error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        bytes[i] = size_of(directory, list->segments[i].name, err);
        if (bytes[i] < 0)
            return -1;
    }
    struct rates rates = rates_measure(list, bytes, rates_target_s(list));
    audio->peak_bps = rates.peak_bps;
    audio->average_bps = rates.average_bps;
    return 0;
}

static int measure(int directory, const struct playlist *list, struct manifest_audio *audio,
                   struct error *err)
{
    if (size_of(directory, list->init, err) < 0)
        return -1;
    int64_t *bytes = must_calloc(list->count, sizeof *bytes);
    int result = measure_sizes(directory, list, bytes, audio, err);
    free(bytes);
    return result;
}

static int check_list(const struct playlist *list, struct error *err)
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
    int result = check_list(&list, err) < 0 ? -1 : measure(directory, &list, audio, err);
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
