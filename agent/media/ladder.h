/* ladder: which renditions a film gets, and ffmpeg's arguments that make them. Pure.
 *
 * One process decodes once and encodes every rung, one output each (-var_stream_map would number
 * the init segments). Keyframes fall on the first frame of every KEYFRAME_SECONDS of the film in
 * all rungs alike. Never upscaled: a rung applies where the source's short side reaches it; what is
 * smaller than the lowest gets that rung's name at its own size. `original` is remuxed, and left
 * out where the wire's players could not read it. Where the source has several audio tracks, each
 * is an output of its own, too, in the directory of the smallest rendition. A film of high dynamic
 * range keeps it, with ten bits, in hevc and av1; for h264 it is tone-mapped, or where ffmpeg lacks
 * the filters, left as it is with its colours marked as what they are. */
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
#define LADDER_VIDEO_PLAYLIST "video.m3u8" /* the pictures alone; separate.h */
#define LADDER_VIDEO_INIT     "video_init.mp4"
#define LADDER_THUMBNAIL      "thumbnail.jpg"
#define LADDER_FIRST_PICTURE  "first.raw"

struct ladder_rendition {
    enum tailslate_quality quality;
    int64_t width, height; /* as displayed */
    int64_t bitrate_kbit;  /* nominal; 0 for `original` */
    bool copies_audio;     /* `original` only: otherwise its sound becomes AAC */
};

struct ladder {
    struct ladder_rendition renditions[TAILSLATE_QUALITY_COUNT];
    size_t count;
    tailslate_quality_set made;        /* those in renditions */
    size_t audio_files;                /* tracks with files of their own; 0: there is no choice */
    enum tailslate_quality audio_home; /* whose directory holds those files */
    const char *without_original; /* why there is none; NULL: there is one, or none is wanted */
};

/* existing: made by somebody already, left out. */
void ladder_plan(const struct probe *probe, const struct config *config,
                 tailslate_quality_set existing, struct ladder *ladder);

/* What the server has already would look like, had we made it: for the master playlist. */
void ladder_describe(const struct probe *probe, enum tailslate_quality quality,
                     struct ladder_rendition *rendition);

/* Runs in the record: reads file:`source`, writes under `output`, which has a directory a
 * rendition. Owned: argv_fini. */
void ladder_argv(const struct ladder *ladder, const struct probe *probe,
                 const struct config *config, const struct encoder_use *use, const char *source,
                 const char *output, struct argv *argv);

/* How many of them are not `original`. */
size_t ladder_count_encoded(const struct ladder *ladder);

/* What its bit rates make of the film, peaks included; `original` is as large as the source. */
int64_t ladder_expected_bytes(const struct ladder *ladder, const struct probe *probe,
                              int64_t source_bytes);

/* One picture, scaled to at most 640 pixels of width. */
void ladder_thumbnail_argv(const struct probe *probe, const struct config *config,
                           const struct encoder_use *use, double at_s, const char *source,
                           const char *output, struct argv *argv);

/* The first picture that decodes, raw, as LADDER_FIRST_PICTURE. */
void ladder_first_picture_argv(const struct probe *probe, const struct config *config,
                               const char *source, const char *output, struct argv *argv);

/* The first seconds of `original`, to nowhere. */
void ladder_copy_trial_argv(const struct probe *probe, const struct config *config,
                            const char *source, struct argv *argv);

/* A second of a test picture through the same words, as a fragmented MP4 to stdout: a fragment a
 * keyframe, LADDER_TRIAL_KEYFRAMES where the encoder places them as it is told. */
enum { LADDER_TRIAL_KEYFRAMES = 3 };
void ladder_trial_argv(const struct config *config, const struct encoder_use *use,
                       struct argv *argv);

#endif
