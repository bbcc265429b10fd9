/* audio_trial: which of a source's audio tracks decode and can be made into AAC.
 *
 * A track may have no packets, a codec that this ffmpeg does not know, or channels that it cannot
 * mix. Each is tried with the options of the real encode, up to the first AUDIO_TRIAL_FRAMES frames
 * and for a bounded time; what gives no frame is no track. */
#ifndef AGENT_AUDIO_TRIAL_H
#define AGENT_AUDIO_TRIAL_H

#include "agent/api/session.h"
#include "agent/media/probe.h"

enum {
    AUDIO_TRIAL_FRAMES = 20,
    AUDIO_TRIAL_LIMIT_MS = 60 * 1000, /* a track without packets is sought through the whole file */
    AUDIO_TRIAL_ALL_MS = 5 * 60 * 1000,
};

/* Leaves in source->audio the tracks that decode, best first, each with a mix that works. Where
 * none is left of a source that has some, the film is published silent, with a warning. -1: the
 * claim is lost (err->code ECANCELED). */
int audio_choose(struct session *session, const char *path, struct probe *source,
                 struct tailslate_warnings *warnings, struct error *err);

#endif
