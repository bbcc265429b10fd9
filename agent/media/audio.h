/* audio: the audio tracks of a source: in which order they are preferred, and how one becomes AAC
 * in stereo. Pure.
 *
 * What a container says about a track is a claim; audio_trial finds out which of them decode. More
 * than two channels are mixed down. ffmpeg has a matrix only for layouts that it knows by name; it
 * has none for ambisonics and for channels without positions, so those are mixed by formula. */
#ifndef AGENT_AUDIO_H
#define AGENT_AUDIO_H

#include "agent/base/argv.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    AUDIO_TRACKS_MAX = 16,   /* looked at */
    AUDIO_PUBLISHED_MAX = 8, /* of those */
    AUDIO_CHANNELS_MAX = 64, /* of ffmpeg's pan filter */
    AUDIO_WORD_BYTES = 32,
    AUDIO_TITLE_BYTES = 64,
    AUDIO_KBIT = 128,
    AUDIO_HZ = 48000,
    AUDIO_FILE_BYTES = 48,
};

/* The first track is in every rendition. Where there are several, each has files of its own
 * besides, audio_0.m3u8 and so on, in the directory of one rendition. */
#define AUDIO_PLAYLIST "audio_%zu.m3u8"
#define AUDIO_INIT     "audio_%zu_init.mp4"
#define AUDIO_SEGMENT  "audio_%zu_%%04d.m4s" /* for ffmpeg */

enum audio_mix {
    AUDIO_MIX_MATRIX,    /* ffmpeg's own */
    AUDIO_MIX_AMBISONIC, /* left and right from the first two components */
    AUDIO_MIX_MEAN,      /* the mean of all channels on both sides */
};

struct audio_track {
    int index;        /* stream number in the source */
    int64_t channels; /* 0: unknown */
    char codec[AUDIO_WORD_BYTES];
    char language[AUDIO_WORD_BYTES]; /* as the container has it, "eng"; "" unknown */
    char title[AUDIO_TITLE_BYTES];
    bool is_default;
    bool is_secondary;    /* commentary, audio description and the like */
    bool describes_video; /* for those who cannot see it */
    enum audio_mix mix;
};

struct audio {
    struct audio_track tracks[AUDIO_TRACKS_MAX];
    size_t count;
};

/* layout: ffmpeg's name of it, "" where it has none. */
enum audio_mix audio_mix_of(int64_t channels, const char *layout);
/* Turns to a mix that asks less of ffmpeg. False: there is none left. */
bool audio_simplify_mix(struct audio_track *track);

/* Does the title name a track that accompanies the programme, such as a commentary? */
bool audio_title_is_secondary(const char *title);

/* Best first: the programme's own sound, then the default flag, then the container's order. */
void audio_sort(struct audio *audio);

/* The output options that turn this track into AAC. */
void audio_push_encoder(const struct audio_track *track, struct argv *argv);

#endif
