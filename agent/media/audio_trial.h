/* audio_trial: which of a source's audio tracks can be decoded and converted to AAC.
 *
 * A track may have no packets, a codec that this ffmpeg does not know, or channels that it cannot
 * mix. Each track is tried with the options of the real encode, up to the first AUDIO_TRIAL_FRAMES
 * frames and for a limited time; a track without a decoded frame is dropped. */
#ifndef AGENT_AUDIO_TRIAL_H
#define AGENT_AUDIO_TRIAL_H

#include "agent/api/session.h"
#include "agent/media/probe.h"

enum {
    AUDIO_TRIAL_FRAMES = 20,
    AUDIO_TRIAL_LIMIT_MS = 60 *
                           1000, /* ffmpeg reads the whole file to find a track without packets */
    AUDIO_TRIAL_ALL_MS = 5 * 60 * 1000,
};

/* Leaves in source->audio the tracks that can be decoded, best first, each with a mix that works.
 * If none is left, the video is published without sound, with a warning. -1: the claim is lost
 * (err->code ECANCELED). */
int audio_choose(struct session *session, const char *path, struct probe *source,
                 struct tailslate_warnings *warnings, struct error *err);

#endif
