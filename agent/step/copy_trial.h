/* copy_trial: can this ffmpeg copy the source's streams into MP4 at all?
 *
 * One ffmpeg makes all renditions: if the muxer refuses the copy (8000 Hz MP3, a header that never
 * comes), the encoded ones would be lost with it. So the first seconds are copied as a test before
 * anything is encoded. */
#ifndef AGENT_COPY_TRIAL_H
#define AGENT_COPY_TRIAL_H

#include "agent/api/session.h"
#include "agent/media/probe.h"

#include "tailslate/warnings.h"

enum { COPY_TRIAL_LIMIT_MS = 60 * 1000 };

/* Sets source->uncopyable, with a warning. Does nothing if no copy is wanted. -1: the claim is lost
 * (err->code ECANCELED). */
int copy_trial(struct session *session, const char *path, struct probe *source,
               struct tailslate_warnings *warnings, struct error *err);

#endif
