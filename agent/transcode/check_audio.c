/* The further audio tracks: each is published if its files are whole, and otherwise left out. */
#include "check.h"

#include "tailslate/cleanup.h"
#include "tailslate/durable.h"
#include "tailslate/log.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
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

static int measure(int directory, const struct playlist *list, struct manifest_audio *audio,
                   struct error *err)
{
    double total_bytes = 0, peak = 0;
    if (size_of(directory, list->init, err) < 0)
        return -1;
    for (size_t i = 0; i < list->count; i++) {
        int64_t size = size_of(directory, list->segments[i].name, err);
        if (size < 0)
            return -1;
        total_bytes += (double)size;
        /* The last one may be too short for its rate to mean anything. */
        if (i + 1 < list->count && list->segments[i].duration_us > 0)
            peak = fmax(peak, (double)size * 8e6 / (double)list->segments[i].duration_us);
    }
    double average = total_bytes * 8e6 / (double)list->total_us;
    audio->average_bps = llround(average);
    audio->peak_bps = llround(fmax(peak, average));
    return 0;
}

static int check_list(const struct playlist *list, struct error *err)
{
    if (!list->ended || list->foreign || !list->init)
        return error_set(err, ERROR_TEMPORARY, 0, "the playlist is not complete");
    if (list->count == 0 || list->total_us <= 0)
        return error_set(err, ERROR_TEMPORARY, 0, "the playlist is empty");
    return 0;
}

static int check_track(int directory, const char *name, struct manifest_audio *audio,
                       struct error *err)
{
    TEXT(text) = NULL;
    size_t size;
    struct playlist list;
    if (durable_read(directory, name, PLAYLIST_MAX_BYTES, &text, &size, err) < 0 ||
        playlist_parse(text, size, &list, err) < 0)
        return -1;
    int result = check_list(&list, err) < 0 ? -1 : measure(directory, &list, audio, err);
    playlist_fini(&list);
    return result;
}

/* Without its playlist nothing uploads it or names it. */
static void leave_out(int directory, const char *name, const struct audio_track *track,
                      const struct error *why, struct warnings *warnings)
{
    struct error err;
    warnings_add(warnings, "audio stream %d (%s) is left out: %s", track->index, track->codec,
                 why->message);
    if (durable_unlink(directory, name, &err) < 0)
        log_warning("step.audio_track_left", LOG_TEXT("detail", err.message));
}

void check_audio(int output, const struct probe *source, const struct ladder *ladder,
                 struct check *check, struct warnings *warnings)
{
    if (ladder->further_audio == 0)
        return;
    FD(directory) = openat(output, quality_name(ladder->audio_home),
                           O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    check->audio[check->audio_count++] = (struct manifest_audio){.track = &source->audio.tracks[0]};
    for (size_t number = 1; number <= ladder->further_audio; number++) {
        struct manifest_audio audio = {
            .track = &source->audio.tracks[number], .home = ladder->audio_home, .number = number};
        struct error why;
        char name[AUDIO_FILE_BYTES];
        snprintf(name, sizeof name, AUDIO_PLAYLIST, number);
        if (check_track(directory, name, &audio, &why) == 0)
            check->audio[check->audio_count++] = audio;
        else
            leave_out(directory, name, audio.track, &why, warnings);
    }
    if (check->audio_count == 1)
        check->audio_count = 0;
}
