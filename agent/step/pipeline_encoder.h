/* pipeline_encoder: which encoder this job uses, and what happens when it fails.
 *
 * Chosen by the node's results; if there are none (yet, or ffmpeg has changed), the step probes
 * what it needs itself. If a hardware encoder fails the job, that is recorded, so that the next
 * jobs avoid it for a while, and this job continues on the CPU, once. */
#ifndef AGENT_PIPELINE_ENCODER_H
#define AGENT_PIPELINE_ENCODER_H

#include "agent/api/session.h"
#include "agent/media/encoders.h"

/* -1: err TEMPORARY: nothing on this node can encode the configured codec. */
int pipeline_encoder_choose(const struct session *session, struct encoder_use *use,
                            struct error *err);

/* Does this failure point to the hardware? Not a lost claim, a full disk or a limit. */
bool pipeline_encoder_is_to_blame(const struct encoder_use *use, const struct error *why);
/* Records it and switches to the CPU. -1: the CPU has no such encoder either. */
int pipeline_encoder_fall_back(const struct session *session, const char *why,
                               struct encoder_use *use, struct error *err);

#endif
