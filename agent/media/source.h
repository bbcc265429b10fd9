/* source: what a job's source is, as far as the work depends on it (docs/decisions/0016).
 *
 * What counts is what can be decoded. The container says what there is (probe), its packets say how
 * much (scan). Of several video streams the one that moves is used, never an unflagged cover. The
 * duration is the longer of video and audio, whatever the header claims. A source that can never
 * become a video is refused here, before anything is encoded: a truncated file (unless
 * transcode.accept_truncated), an encrypted one, an unknown codec, or no moving video. */
#ifndef AGENT_SOURCE_H
#define AGENT_SOURCE_H

#include "agent/base/config.h"
#include "agent/media/scan.h"

#include "tailslate/warnings.h"

/* -1: err PERMANENT if the file is at fault, with a reason in plain English. */
struct session;
int source_examine(struct session *session, const char *path, struct probe *probe,
                   struct scan *scan, struct tailslate_warnings *warnings, struct error *err);

/* Leaves in probe->audio the tracks that can be decoded, best first, each with a mix that works. A
 * track may have no packets, a codec that this ffmpeg does not know, or channels that it cannot
 * mix. Each is tried with the options of the real encode, up to the first AUDIO_TEST_FRAMES frames
 * and for a limited time; a track without a decoded frame is dropped. If none is left, the video is
 * published without sound, with a warning. -1: the claim is lost (err->code ECANCELED). */
enum {
    AUDIO_TEST_FRAMES = 20,
    AUDIO_TEST_LIMIT_MS = 60 *
                          1000, /* ffmpeg reads the whole file to find a track without packets */
    AUDIO_TEST_ALL_MS = 5 * 60 * 1000,
};
int source_choose_audio(struct session *session, const char *path, struct probe *source,
                        struct tailslate_warnings *warnings, struct error *err);

/* Call when the audio tracks are known: sets the duration of the whole, and of its video. */
void source_settle(struct probe *probe, const struct scan *scan);

/* ---- pure ------------------------------------------------------------------------------------ */

/* The number of the video stream to use. */
int source_pick_video(const struct probe *probe, const struct scan *scan);

enum source_length {
    SOURCE_WHOLE,   /* as the header says, or the header says nothing */
    SOURCE_CLAIMED, /* the header claims more than there ever was */
    SOURCE_CUT_OFF,
    SOURCE_DAMAGED, /* it continues, but cannot be read further */
};
enum source_length source_judge_length(const struct probe *probe, const struct scan *scan,
                                       int64_t file_bytes);
enum { SOURCE_HEAD_BYTES = 52 };
double source_avi_claims_s(const unsigned char *head, size_t size); /* 0: not an AVI */
/* The end of the last packet. */
double source_end_s(const struct scan *scan);

#endif
