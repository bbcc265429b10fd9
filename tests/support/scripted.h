/* scripted: a peer that plays a whole server by itself. It has one job, 7: the video of video 3, a
 * tiny one, in 360p. Whatever a test scripts afterwards comes first. */
#ifndef SUPPORT_SCRIPTED_H
#define SUPPORT_SCRIPTED_H

#include "peer.h"

/* more: further members, each with its comma. */
#define SCRIPTED_CLAIM_OF(video, slug, more)                                                       \
    "200 {\"job_id\":7,\"video_id\":" video ",\"video_slug\":\"" slug "\",\"video_duration\":0,"   \
    "\"source_width\":0,\"source_height\":0,\"source_filename\":\"" slug ".mp4\","                 \
    "\"claim_expires_at\":\"2036-01-03T16:28:00+00:00\",\"existing_qualities\":null," more         \
    "\"message\":\"Job claimed\"}"
#define SCRIPTED_STOCK_CLAIM SCRIPTED_CLAIM_OF("3", "film", "")
#define SCRIPTED_CLAIM(epoch)                                                                      \
    SCRIPTED_CLAIM_OF("3", "film", "\"claim_epoch\":" epoch ",\"attempt_number\":1,")
#define SCRIPTED_NO_JOB    "200 {\"job_id\":null,\"message\":\"No jobs available\"}"
#define SCRIPTED_FINALIZED "200 {\"status\":\"ok\",\"complete\":true,\"missing_segments\":[]}"

/* What is claimed, and what a completion hears: scripts. Other calls go well. */
void scripted_server(struct peer *peer, const char *claims, const char *completions);

#endif
