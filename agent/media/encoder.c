#include "agent/media/encoder.h"

#include <math.h>
#include <string.h>

enum { FOREVER_FRAMES = 100000, PRESET_COUNT = 9, SLOW_FPS = 10 };

/* ---- the table ------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum tailslate_codec codec;
    enum encoder_kind kind;
} encoders[ENCODER_COUNT] = {
    [ENCODER_LIBX264] = {"libx264", TAILSLATE_CODEC_H264, ENCODER_CPU},
    [ENCODER_LIBX265] = {"libx265", TAILSLATE_CODEC_HEVC, ENCODER_CPU},
    [ENCODER_LIBSVTAV1] = {"libsvtav1", TAILSLATE_CODEC_AV1, ENCODER_CPU},
    [ENCODER_H264_NVENC] = {"h264_nvenc", TAILSLATE_CODEC_H264, ENCODER_NVENC},
    [ENCODER_HEVC_NVENC] = {"hevc_nvenc", TAILSLATE_CODEC_HEVC, ENCODER_NVENC},
    [ENCODER_AV1_NVENC] = {"av1_nvenc", TAILSLATE_CODEC_AV1, ENCODER_NVENC},
    [ENCODER_H264_QSV] = {"h264_qsv", TAILSLATE_CODEC_H264, ENCODER_QSV},
    [ENCODER_HEVC_QSV] = {"hevc_qsv", TAILSLATE_CODEC_HEVC, ENCODER_QSV},
    [ENCODER_AV1_QSV] = {"av1_qsv", TAILSLATE_CODEC_AV1, ENCODER_QSV},
    [ENCODER_H264_VAAPI] = {"h264_vaapi", TAILSLATE_CODEC_H264, ENCODER_VAAPI},
    [ENCODER_HEVC_VAAPI] = {"hevc_vaapi", TAILSLATE_CODEC_HEVC, ENCODER_VAAPI},
    [ENCODER_AV1_VAAPI] = {"av1_vaapi", TAILSLATE_CODEC_AV1, ENCODER_VAAPI},
};

static const char *const kind_names[ENCODER_KIND_COUNT] = {
    [ENCODER_CPU] = "cpu",
    [ENCODER_NVENC] = "nvenc",
    [ENCODER_QSV] = "qsv",
    [ENCODER_VAAPI] = "vaapi",
};

const char *encoder_name(enum encoder_id id)
{
    must(id < ENCODER_COUNT);
    return encoders[id].name;
}

enum encoder_id encoder_of_name(const char *name)
{
    enum encoder_id id = 0;
    while (id < ENCODER_COUNT && strcmp(encoders[id].name, name) != 0)
        id++;
    return id;
}

enum tailslate_codec encoder_codec(enum encoder_id id)
{
    must(id < ENCODER_COUNT);
    return encoders[id].codec;
}

enum encoder_kind encoder_kind(enum encoder_id id)
{
    must(id < ENCODER_COUNT);
    return encoders[id].kind;
}

const char *encoder_kind_name(enum encoder_kind kind)
{
    must(kind < ENCODER_KIND_COUNT);
    return kind_names[kind];
}

/* ---- the choice ------------------------------------------------------------------------------ */

enum tailslate_codec encoder_wanted_codec(const char *codec)
{
    for (enum tailslate_codec wanted = TAILSLATE_CODEC_H264; wanted <= TAILSLATE_CODEC_AV1;
         wanted++)
        if (strcmp(codec, tailslate_codec_name(wanted)) == 0)
            return wanted;
    return TAILSLATE_CODEC_H264;
}

static enum encoder_id find(enum tailslate_codec codec, enum encoder_kind kind, encoder_set working)
{
    for (enum encoder_id id = 0; id < ENCODER_COUNT; id++)
        if (encoders[id].codec == codec && encoders[id].kind == kind && (working & 1u << id))
            return id;
    return ENCODER_COUNT;
}

enum encoder_id encoder_pick(enum tailslate_codec codec, const char *preference,
                             encoder_set working)
{
    for (enum encoder_kind kind = ENCODER_NVENC; kind < ENCODER_KIND_COUNT; kind++) {
        bool is_wanted = strcmp(preference, "auto") == 0 ||
                         strcmp(preference, kind_names[kind]) == 0;
        enum encoder_id id = is_wanted ? find(codec, kind, working) : ENCODER_COUNT;
        if (id != ENCODER_COUNT)
            return id;
    }
    return find(codec, ENCODER_CPU, working);
}

encoder_set encoder_set_of_kind(enum encoder_kind kind)
{
    encoder_set set = 0;
    for (enum encoder_id id = 0; id < ENCODER_COUNT; id++)
        if (encoders[id].kind == kind)
            set |= 1u << id;
    return set;
}

/* ---- the options of each --------------------------------------------------------------------- */

static void push_all(struct argv *argv, const char *const words[])
{
    for (size_t i = 0; words[i]; i++)
        argv_push(argv, "%s", words[i]);
}

#define PUSH(argv, ...) push_all((argv), (const char *const[]){__VA_ARGS__, NULL})

void encoder_push_device(const struct encoder_use *use, struct argv *argv)
{
    if (!use->device[0])
        return;
    switch (encoder_kind(use->id)) {
    case ENCODER_VAAPI:
        PUSH(argv, "-init_hw_device");
        argv_push(argv, "vaapi=gpu:%s", use->device);
        PUSH(argv, "-filter_hw_device", "gpu");
        break;
    case ENCODER_QSV:
        PUSH(argv, "-init_hw_device");
        argv_push(argv, "qsv=gpu:hw,child_device=%s", use->device);
        break;
    case ENCODER_CPU:
    case ENCODER_NVENC:
    case ENCODER_KIND_COUNT:
        break;
    }
}

const char *encoder_frames(const struct encoder_use *use, bool is_ten_bit)
{
    switch (encoder_kind(use->id)) {
    case ENCODER_CPU:
        return is_ten_bit ? "format=yuv420p10le" : "format=yuv420p";
    case ENCODER_VAAPI:
        return is_ten_bit ? "format=p010le,hwupload" : "format=nv12,hwupload";
    case ENCODER_NVENC:
    case ENCODER_QSV:
    case ENCODER_KIND_COUNT:
        break;
    }
    return is_ten_bit ? "format=p010le" : "format=nv12";
}

bool encoder_counts_frames(enum encoder_id id)
{
    return id == ENCODER_LIBSVTAV1;
}

/* x264's presets translated for the others, by position from fast to slow. */
static int preset_place(const char *preset)
{
    static const char *const presets[PRESET_COUNT] = {"ultrafast", "superfast", "veryfast",
                                                      "faster",    "fast",      "medium",
                                                      "slow",      "slower",    "veryslow"};
    for (int i = 0; i < PRESET_COUNT; i++)
        if (strcmp(preset, presets[i]) == 0)
            return i;
    return 2;
}

static void push_rates(const struct encoder_settings *settings, struct argv *argv)
{
    long long kbit = (long long)settings->bitrate_kbit;
    PUSH(argv, "-b:v");
    argv_push(argv, "%lldk", kbit);
    PUSH(argv, "-maxrate:v");
    argv_push(argv, "%lldk", kbit * 3 / 2);
    PUSH(argv, "-bufsize:v");
    argv_push(argv, "%lldk", kbit * 2);
}

/* Relative to the last keyframe, not by counting: after a gap in a video with a variable frame
 * rate, counting would force every frame until it has caught up. */
static void push_keyframes(const struct encoder_settings *settings, struct argv *argv)
{
    double step = settings->keyframe_seconds;
    PUSH(argv, "-force_key_frames");
    argv_push(argv, "expr:if(isnan(prev_forced_t),1,gte(t,(floor(prev_forced_t/%g)+1)*%g))", step,
              step);
    PUSH(argv, "-g");
    argv_push(argv, "%d", FOREVER_FRAMES);
}

static void push_x264(const struct encoder_settings *settings, struct argv *argv)
{
    PUSH(argv, "-preset", settings->preset, "-profile:v", "high");
    if (settings->threads > 0) {
        PUSH(argv, "-threads:v");
        argv_push(argv, "%lld", (long long)settings->threads);
    }
    push_rates(settings, argv);
    push_keyframes(settings, argv);
    PUSH(argv, "-sc_threshold", "0");
}

static void push_x265(const struct encoder_settings *settings, struct argv *argv)
{
    PUSH(argv, "-preset", settings->preset, "-profile:v", settings->is_ten_bit ? "main10" : "main");
    push_rates(settings, argv);
    push_keyframes(settings, argv);
    PUSH(argv, "-forced-idr", "1", "-x265-params");
    if (settings->threads > 0)
        argv_push(argv, "log-level=error:scenecut=0:open-gop=0:pools=%lld",
                  (long long)settings->threads);
    else
        PUSH(argv, "log-level=error:scenecut=0:open-gop=0");
}

/* It does not support forced keyframes with a bit rate (1.4), so they are counted; nor a maximum
 * rate together with one. */
static void push_svtav1(const struct encoder_settings *settings, struct argv *argv)
{
    static const int presets[PRESET_COUNT] = {12, 11, 10, 9, 8, 7, 6, 5, 4};
    must(settings->frame_rate > 0);
    PUSH(argv, "-preset");
    argv_push(argv, "%d", presets[preset_place(settings->preset)]);
    PUSH(argv, "-b:v");
    argv_push(argv, "%lldk", (long long)settings->bitrate_kbit);
    PUSH(argv, "-g");
    argv_push(argv, "%ld", lround(settings->keyframe_seconds * settings->frame_rate));
    PUSH(argv, "-svtav1-params");
    if (settings->threads > 0)
        argv_push(argv, "scd=0:lp=%lld", (long long)settings->threads);
    else
        PUSH(argv, "scd=0");
}

static void push_profile(enum tailslate_codec codec, const struct encoder_settings *settings,
                         struct argv *argv)
{
    if (codec == TAILSLATE_CODEC_H264)
        PUSH(argv, "-profile:v", "high");
    else if (codec == TAILSLATE_CODEC_HEVC)
        PUSH(argv, "-profile:v", settings->is_ten_bit ? "main10" : "main");
}

static void push_nvenc(enum tailslate_codec codec, const struct encoder_settings *settings,
                       struct argv *argv)
{
    static const char *const presets[PRESET_COUNT] = {"p1", "p1", "p2", "p3", "p3",
                                                      "p4", "p5", "p6", "p7"};
    PUSH(argv, "-preset", presets[preset_place(settings->preset)], "-rc", "vbr");
    push_profile(codec, settings, argv);
    push_rates(settings, argv);
    push_keyframes(settings, argv);
    PUSH(argv, "-forced-idr", "1", "-no-scenecut", "1");
}

static void push_qsv(enum tailslate_codec codec, const struct encoder_settings *settings,
                     struct argv *argv)
{
    int place = preset_place(settings->preset);
    PUSH(argv, "-preset", place < 2 ? "veryfast" : settings->preset);
    push_profile(codec, settings, argv);
    push_rates(settings, argv);
    push_keyframes(settings, argv);
    PUSH(argv, "-forced_idr", "1");
}

static void push_vaapi(enum tailslate_codec codec, const struct encoder_settings *settings,
                       struct argv *argv)
{
    PUSH(argv, "-rc_mode", "VBR");
    push_profile(codec, settings, argv);
    push_rates(settings, argv);
    push_keyframes(settings, argv);
}

static void push_cpu(enum encoder_id id, const struct encoder_settings *settings, struct argv *argv)
{
    if (id == ENCODER_LIBX264)
        push_x264(settings, argv);
    else if (id == ENCODER_LIBX265)
        push_x265(settings, argv);
    else
        push_svtav1(settings, argv);
}

void encoder_push_video(const struct encoder_use *use, const struct encoder_settings *settings,
                        struct argv *argv)
{
    enum tailslate_codec codec = encoder_codec(use->id);
    PUSH(argv, "-c:v", encoder_name(use->id));
    switch (encoder_kind(use->id)) {
    case ENCODER_CPU:
        push_cpu(use->id, settings, argv);
        break;
    case ENCODER_NVENC:
        push_nvenc(codec, settings, argv);
        break;
    case ENCODER_QSV:
        push_qsv(codec, settings, argv);
        break;
    case ENCODER_VAAPI:
        push_vaapi(codec, settings, argv);
        break;
    case ENCODER_KIND_COUNT:
        break;
    }
    /* A B-frame waits for later frames: at half a frame per second, a rendition would start four
     * seconds late. */
    if (settings->frame_rate > 0 && settings->frame_rate < SLOW_FPS && codec != TAILSLATE_CODEC_AV1)
        PUSH(argv, "-bf:v", "0");
    PUSH(argv, "-flags:v", "+cgop");
    if (codec == TAILSLATE_CODEC_HEVC)
        PUSH(argv, "-tag:v", "hvc1"); /* the only form that Apple's players accept */
}
