/* encoder: the supported video encoders, which one to use, and the options for each. Pure.
 *
 * What they have in common is decided here: rate control by the rendition's bit rate, a keyframe on
 * the first frame of every keyframe interval and nowhere else, closed GOPs, 4:2:0. The encoder
 * chooses level and tier by size and rate; players read them from the stream. Whether an encoder
 * works on this node is up to encoders.h. libaom-av1 is left out on purpose (a ladder would take
 * days). */
#ifndef AGENT_ENCODER_H
#define AGENT_ENCODER_H

#include "agent/base/argv.h"
#include "base/message.h"

#include <stdbool.h>
#include <stdint.h>

enum encoder_kind { ENCODER_CPU, ENCODER_NVENC, ENCODER_QSV, ENCODER_VAAPI, ENCODER_KIND_COUNT };

enum encoder_id {
    ENCODER_LIBX264,
    ENCODER_LIBX265,
    ENCODER_LIBSVTAV1,
    ENCODER_H264_NVENC,
    ENCODER_HEVC_NVENC,
    ENCODER_AV1_NVENC,
    ENCODER_H264_QSV,
    ENCODER_HEVC_QSV,
    ENCODER_AV1_QSV,
    ENCODER_H264_VAAPI,
    ENCODER_HEVC_VAAPI,
    ENCODER_AV1_VAAPI,
    ENCODER_COUNT, /* also means: none */
};
typedef unsigned encoder_set; /* bit 1u << encoder_id */

const char *encoder_name(enum encoder_id id); /* ffmpeg's name for it */
enum encoder_id encoder_of_name(const char *name);
enum tailslate_codec encoder_codec(enum encoder_id id);
enum encoder_kind encoder_kind(enum encoder_id id);
const char *encoder_kind_name(enum encoder_kind kind); /* "cpu", "nvenc", … */

/* codec: "auto" (h264, which every player supports), "h264", "hevc", "av1". */
enum tailslate_codec encoder_wanted_codec(const char *codec);

/* The best working encoder: preference "auto" (hardware first, in the order of the kinds above) or
 * the name of a kind; the CPU is always last. ENCODER_COUNT: none works. */
enum encoder_id encoder_pick(enum tailslate_codec codec, const char *preference,
                             encoder_set working);
encoder_set encoder_set_of_kind(enum encoder_kind kind);

/* The encoder in use on this node. */
enum { ENCODER_DEVICE_BYTES = 128 };
struct encoder_use {
    enum encoder_id id;
    char device[ENCODER_DEVICE_BYTES]; /* the render node; "" = the driver's choice */
    bool can_tone_map;                 /* ffmpeg has the tone-mapping filters */
};

/* The parameters of one rendition. */
struct encoder_settings {
    int64_t bitrate_kbit, threads; /* threads 0: the encoder decides */
    const char *preset;            /* an x264 preset */
    double keyframe_seconds;
    double frame_rate; /* of the output, constant; 0: unknown, and this encoder does not need it */
    bool is_ten_bit;
};

/* Options before the input: the device. */
void encoder_push_device(const struct encoder_use *use, struct argv *argv);
/* The end of the filter chain, which passes frames to the encoder. */
const char *encoder_frames(const struct encoder_use *use, bool is_ten_bit);
/* Does it place keyframes only by counting frames, so that the output's frame rate must be set? */
bool encoder_counts_frames(enum encoder_id id);
void encoder_push_video(const struct encoder_use *use, const struct encoder_settings *settings,
                        struct argv *argv);

#endif
