#include "agent/media/audio.h"

#include <stdio.h>
#include <string.h>

enum { FILTER_BYTES = 1024 };

enum audio_mix audio_mix_of(int64_t channels, const char *layout)
{
    if (channels <= 2)
        return AUDIO_MIX_MATRIX;
    if (strncmp(layout, "ambisonic", strlen("ambisonic")) == 0)
        return AUDIO_MIX_AMBISONIC;
    /* "unknown", "10 channels": a number without positions. */
    return layout[0] == '\0' || strcmp(layout, "unknown") == 0 || strstr(layout, " channels")
               ? AUDIO_MIX_MEAN
               : AUDIO_MIX_MATRIX;
}

bool audio_simplify_mix(struct audio_track *track)
{
    if (track->mix == AUDIO_MIX_MEAN || track->channels < 2 || track->channels > AUDIO_CHANNELS_MAX)
        return false;
    track->mix = AUDIO_MIX_MEAN;
    return true;
}

bool audio_title_is_secondary(const char *title)
{
    static const char *const words[] = {"commentary", "description", "descriptive", "narration"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasestr(title, words[i]))
            return true;
    return false;
}

static int rank(const struct audio_track *track)
{
    return (track->is_secondary ? 2 : 0) + (track->is_default ? 0 : 1);
}

/* Insertion sort keeps the order of equal elements, which qsort does not. */
void audio_sort(struct audio *audio)
{
    for (size_t i = 1; i < audio->count; i++) {
        struct audio_track track = audio->tracks[i];
        size_t at = i;
        for (; at > 0 && rank(&audio->tracks[at - 1]) > rank(&track); at--)
            audio->tracks[at] = audio->tracks[at - 1];
        audio->tracks[at] = track;
    }
}

static void add_mean(int64_t channels, char filter[FILTER_BYTES])
{
    char sum[FILTER_BYTES / 3] = "";
    for (int64_t i = 0; i < channels && i < AUDIO_CHANNELS_MAX; i++) {
        size_t used = strlen(sum);
        snprintf(sum + used, sizeof sum - used, "%sc%lld", i ? "+" : "", (long long)i);
    }
    /* `<` normalizes the sum, so that it does not clip. */
    snprintf(filter, FILTER_BYTES, "pan=stereo|c0<%s|c1<%s,", sum, sum);
}

static void add_mix(const struct audio_track *track, char filter[FILTER_BYTES])
{
    switch (track->mix) {
    case AUDIO_MIX_MATRIX:
        filter[0] = '\0';
        break;
    case AUDIO_MIX_AMBISONIC: /* W, then Y, which points left */
        snprintf(filter, FILTER_BYTES, "pan=stereo|c0=0.5*c0+0.5*c1|c1=0.5*c0-0.5*c1,");
        break;
    case AUDIO_MIX_MEAN:
        add_mean(track->channels, filter);
        break;
    }
}

/* Silence before the first sample and in gaps: a fragmented MP4 only says in its edit list that a
 * track starts late, and browsers ignore that. */
#define CONTINUOUS "aresample=async=1:first_pts=0"

void audio_push_encoder(const struct audio_track *track, struct argv *argv)
{
    char filter[FILTER_BYTES];
    const char *const words[] = {"-c:a", "aac", "-ac:a", "2"};
    add_mix(track, filter);
    argv_push(argv, "-filter:a");
    argv_push(argv, "%s" CONTINUOUS, filter);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        argv_push(argv, "%s", words[i]);
    argv_push(argv, "-b:a");
    argv_push(argv, "%dk", AUDIO_KBIT);
    argv_push(argv, "-ar:a");
    argv_push(argv, "%d", AUDIO_HZ);
}
