/* audio: the audio tracks of a source: their order of preference, and how one becomes stereo AAC.
 * Pure.
 *
 * What a container says about a track is a claim; source.h finds out which tracks can be
 * decoded. More than two channels are mixed down. ffmpeg has a mixing matrix only for layouts that
 * it knows by name, not for ambisonics or channels without positions, so those are mixed by
 * formula. */
#ifndef AGENT_AUDIO_H
#define AGENT_AUDIO_H

#include "agent/base/argv.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    AUDIO_TRACKS_MAX = 16,   /* tracks that are considered */
    AUDIO_PUBLISHED_MAX = 8, /* tracks that are published */
    AUDIO_CHANNELS_MAX = 64, /* length of ffmpeg's pan filter */
    AUDIO_NAME_BYTES = 32,
    AUDIO_TITLE_BYTES = 64,
    AUDIO_KBIT = 128,
    AUDIO_HZ = 48000,
    AUDIO_FILE_BYTES = 48,
};

/* Every rendition contains the first track. If there are several, each also has its own files,
 * audio_0.m3u8 and so on, in the directory of one rendition. */
#define AUDIO_PLAYLIST "audio_%zu.m3u8"
#define AUDIO_INIT     "audio_%zu_init.mp4"
#define AUDIO_SEGMENT  "audio_%zu_%%04d.m4s" /* for ffmpeg */

enum audio_mix {
    AUDIO_MIX_MATRIX,    /* ffmpeg's own matrix */
    AUDIO_MIX_AMBISONIC, /* left and right from the first two components */
    AUDIO_MIX_MEAN,      /* the mean of all channels on both sides */
};

struct audio_track {
    int index;        /* stream number in the source */
    int64_t channels; /* 0: unknown */
    char codec[AUDIO_NAME_BYTES];
    char language[AUDIO_NAME_BYTES]; /* as in the container, "eng"; "" = unknown */
    char title[AUDIO_TITLE_BYTES];
    bool is_default;
    bool is_secondary;    /* commentary, audio description and similar */
    bool describes_video; /* for viewers who cannot see the video */
    enum audio_mix mix;
};

struct audio {
    struct audio_track tracks[AUDIO_TRACKS_MAX];
    size_t count;
};

/* layout: ffmpeg's name for it, "" if it has none. */
enum audio_mix audio_mix_of(int64_t channels, const char *layout);
/* Falls back to a mix that requires less of ffmpeg. False: there is no other. */
bool audio_simplify_mix(struct audio_track *track);

/* Does the title name a track that accompanies the main audio, such as a commentary? */
bool audio_title_is_secondary(const char *title);

/* Best first: main audio before commentary, then the default flag, then the container's order. */
void audio_sort(struct audio *audio);

/* The output options that convert this track to AAC. */
void audio_push_encoder(const struct audio_track *track, struct argv *argv);

#endif
