/* transcoder: a script in ffmpeg's place.
 *
 * What the script does not take over goes to the real ffmpeg: probes, trials of encoders, and
 * whatever a `deed` lets pass. The deed happens only where a job's video is encoded. */
#ifndef SUPPORT_TRANSCODER_H
#define SUPPORT_TRANSCODER_H

#include "rig.h"

void transcoder_use(struct rig *rig, const char *script);
void transcoder_does(struct rig *rig, const char *deed, ...) __attribute__((format(printf, 2, 3)));
/* It takes its time, so many times as fast as the video plays, and is counted. */
void transcoder_takes_time(struct rig *rig, const char *rate);

/* Of those that take their time: the pid of the first, as soon as it runs; and how many. */
pid_t transcoder_wait(const struct rig *rig);
int transcoder_starts(const struct rig *rig);

#endif
