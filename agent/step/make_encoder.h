/* make_encoder: which encoder this job gets, and what becomes of it when that one fails.
 *
 * By the node's findings; where there are none (yet, or ffmpeg has changed since), the step tries
 * for itself what it needs. A hardware encoder that lets the job down is written down, so that the
 * next jobs leave it alone for a while, and this one goes on with the CPU, once. */
#ifndef AGENT_MAKE_ENCODER_H
#define AGENT_MAKE_ENCODER_H

#include "agent/api/session.h"
#include "agent/media/encoders.h"

/* -1: err TEMPORARY: nothing on this node makes the codec that is wanted. */
int make_encoder_choose(const struct session *session, struct encoder_use *use, struct error *err);

/* Does this failure speak against the hardware? Not a lost claim, a full disk or a limit. */
bool make_encoder_is_to_blame(const struct encoder_use *use, const struct error *why);
/* Writes it down and turns to the CPU. -1: that has no such encoder either. */
int make_encoder_fall_back(const struct session *session, const char *why, struct encoder_use *use,
                           struct error *err);

#endif
