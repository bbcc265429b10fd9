/* findings: which encoders work is found out by encoding (agent/media/encoders.h), once a build
 * directory and not once a test: what the first agent found is kept and lent to the others.
 *
 * The agent believes findings about its own ffmpeg only. A script that leaves the probes to ffmpeg
 * (transcoder_does) has ffmpeg's findings, so these are lent under the script's key. Nothing is
 * lent to, or taken from, an agent with any other script. */
#ifndef SUPPORT_FINDINGS_H
#define SUPPORT_FINDINGS_H

#include "rig.h"

/* Before an agent starts: its configuration is written. */
void findings_lend(const struct rig *rig);
/* When it has ended. */
void findings_keep(const struct rig *rig);

#endif
