/* source: what a job's source is, as far as the work depends on it (docs/decisions/0016).
 *
 * The truth is what decodes. The container says what there is (probe), its packets say how much
 * (scan): of several pictures the moving ones are taken, an unflagged cover never; the length is
 * the longer of picture and sound, whatever the header claims. A source that can never be made
 * into a video is refused here, before anything is encoded: a file that is cut off (unless
 * transcode.accept_truncated), one that is encrypted, has an unknown codec or no moving picture. */
#ifndef AGENT_SOURCE_H
#define AGENT_SOURCE_H

#include "agent/base/config.h"
#include "agent/media/scan.h"

#include "tailslate/warnings.h"

/* -1: err PERMANENT where the file is at fault, with the reason in words. */
struct session;
int source_examine(struct session *session, const char *path, struct probe *probe,
                   struct scan *scan, struct tailslate_warnings *warnings, struct error *err);

/* Once it is known which sound is used: how long the whole is, and its pictures. */
void source_settle(struct probe *probe, const struct scan *scan);

/* ---- pure ------------------------------------------------------------------------------------ */

/* The number of the video stream to take. */
int source_pick_video(const struct probe *probe, const struct scan *scan);

enum source_length {
    SOURCE_WHOLE,   /* as the header says, or it says nothing */
    SOURCE_CLAIMED, /* the header says more than there ever was */
    SOURCE_CUT_OFF,
    SOURCE_DAMAGED, /* it goes on, but cannot be read further */
};
enum source_length source_judge_length(const struct probe *probe, const struct scan *scan,
                                       int64_t file_bytes);
enum { SOURCE_HEAD_BYTES = 52 };
double source_avi_claims_s(const unsigned char *head, size_t size); /* 0: it is no AVI */
/* How far the packets reach. */
double source_end_s(const struct scan *scan);

#endif
