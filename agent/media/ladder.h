/* ladder: which renditions a video gets, and the ffmpeg arguments that make them. Pure.
 *
 * One process decodes once and encodes every rendition, one output each (-var_stream_map would
 * number the init segments). Keyframes are on the first frame of every KEYFRAME_SECONDS, at the
 * same times in all renditions. Never upscales: a rendition applies if the source's short side is
 * at least as long; a source smaller than the lowest one gets that name at its own size. `original`
 * is remuxed, and left out if players could not play it. If the source has several audio tracks,
 * each is also an output of its own, in the directory of the smallest rendition. HDR is kept, with
 * ten bits, in hevc and av1; for h264 it is tone-mapped or, if ffmpeg lacks the filters, left
 * unchanged with its color tags. */
#ifndef AGENT_LADDER_H
#define AGENT_LADDER_H

#include "agent/base/argv.h"
#include "agent/base/config.h"
#include "agent/media/encoder.h"
#include "agent/media/probe.h"

#include "tailslate/quality.h"

#define LADDER_PROGRESS_FILE  "progress.txt"
#define LADDER_INIT           "init.mp4"
#define LADDER_PLAYLIST       "stream.m3u8"
#define LADDER_SEGMENT        "seg_%04d.m4s"
#define LADDER_VIDEO_PLAYLIST "video.m3u8" /* video only; see rewrite.h */
#define LADDER_VIDEO_INIT     "video_init.mp4"
#define LADDER_THUMBNAIL      "thumbnail.jpg"
#define LADDER_FIRST_FRAME    "first.raw"

struct ladder_rendition {
    enum tailslate_quality quality;
    int64_t width, height; /* as displayed */
    int64_t bitrate_kbit;  /* nominal; 0 for `original` */
    bool copies_audio;     /* `original` only; if false, its audio is converted to AAC */
};

struct ladder {
    struct ladder_rendition renditions[TAILSLATE_QUALITY_COUNT];
    size_t count;
    tailslate_quality_set made;        /* the set of those in renditions */
    size_t audio_files;                /* tracks with files of their own; 0: there is no choice */
    enum tailslate_quality audio_home; /* the rendition whose directory contains those files */
    const char
        *without_original; /* why there is no original; NULL: there is one, or none is wanted */
};

/* existing: already made by an earlier job, left out. */
void ladder_plan(const struct probe *probe, const struct config *config,
                 tailslate_quality_set existing, struct ladder *ladder);

/* What a rendition from an earlier job would be if we had made it: for the master playlist. */
void ladder_describe(const struct probe *probe, enum tailslate_quality quality,
                     struct ladder_rendition *rendition);

/* Runs in the record's directory: reads file:`source`, writes to `output`, with one directory per
 * rendition. Owned: argv_fini. */
void ladder_argv(const struct ladder *ladder, const struct probe *probe,
                 const struct config *config, const struct encoder_use *use, const char *source,
                 const char *output, struct argv *argv);

/* How many of them are not `original`. */
size_t ladder_count_encoded(const struct ladder *ladder);

/* The size that the bit rates predict, peaks included; `original` counts as the source's size. */
int64_t ladder_expected_bytes(const struct ladder *ladder, const struct probe *probe,
                              int64_t source_bytes);

/* One frame, scaled to a width of at most 640 pixels. */
void ladder_thumbnail_argv(const struct probe *probe, const struct config *config,
                           const struct encoder_use *use, double at_s, const char *source,
                           const char *output, struct argv *argv);

/* The first frame that can be decoded, raw, as LADDER_FIRST_FRAME. */
void ladder_first_frame_argv(const struct probe *probe, const struct config *config,
                             const char *source, const char *output, struct argv *argv);

/* The first seconds of `original`; the output is discarded. */
void ladder_copy_test_argv(const struct probe *probe, const struct config *config,
                           const char *source, struct argv *argv);

/* One second of a test pattern with the same options, as a fragmented MP4 to stdout: one fragment
 * per keyframe, LADDER_PROBE_KEYFRAMES in all if the encoder places them as requested. */
enum { LADDER_PROBE_KEYFRAMES = 3 };
void ladder_encoder_probe_argv(const struct config *config, const struct encoder_use *use,
                               struct argv *argv);

#endif
