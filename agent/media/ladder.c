#include "agent/media/ladder.h"

#include "agent/media/filter.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    KEYFRAME_SECONDS = 2,
    TEST_WIDTH_PX = 320,
    TEST_HEIGHT_PX = 240,
    TEST_FPS = 25,
    THUMBNAIL_WIDTH_PX = 640,
};

/* ---- which renditions ------------------------------------------------------------------------ */

/* The largest even number not over `most`: no pixel is invented. */
static int64_t even(double value, int64_t most)
{
    int64_t rounded = (int64_t)lround(value / 2) * 2;
    if (rounded > most)
        rounded -= 2;
    return rounded < 2 ? 2 : rounded;
}

static int64_t short_side(const struct probe *probe)
{
    return probe->width < probe->height ? probe->width : probe->height;
}

static bool is_among(const char *word, const char *const list[], size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(word, list[i]) == 0)
            return true;
    return false;
}

#define AMONG(word, ...)                                                                           \
    is_among((word), (const char *const[]){__VA_ARGS__},                                           \
             sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

void ladder_describe(const struct probe *probe, enum tailslate_quality quality,
                     struct ladder_rendition *rendition)
{
    *rendition = (struct ladder_rendition){
        .quality = quality,
        .width = probe->width,
        .height = probe->height,
        .bitrate_kbit = tailslate_quality_bitrate_kbit(quality),
    };
    if (quality == TAILSLATE_QUALITY_ORIGINAL)
        return;
    double side = (double)tailslate_quality_short_side(quality), source = (double)short_side(probe);
    double scale = side < source ? side / source : 1;
    rendition->width = even((double)probe->width * scale, probe->width);
    rendition->height = even((double)probe->height * scale, probe->height);
}

static const char *why_no_original(const struct probe *probe)
{
    if (!AMONG(probe->video_codec, "h264", "hevc", "av1"))
        return "its video codec is not h264, hevc or av1";
    if (!AMONG(probe->pixel_format, "yuv420p", "yuvj420p", "yuv420p10le"))
        return "its video is not 4:2:0 with 8 or 10 bits";
    if (probe->uncopyable)
        return "ffmpeg cannot copy it into MP4";
    if (probe->turned)
        return "it is rotated by a flag that segments cannot carry";
    if (filter_held_s(probe) > 0)
        return "its audio is longer than its video";
    return NULL;
}

/* The track that every rendition contains; NULL: no audio. */
static const struct audio_track *main_track(const struct probe *probe)
{
    return probe->audio.count > 0 ? &probe->audio.tracks[0] : NULL;
}

static void add(struct ladder *ladder, const struct probe *probe, enum tailslate_quality quality,
                tailslate_quality_set existing)
{
    if (existing & (1u << quality))
        return;
    struct ladder_rendition *rendition = &ladder->renditions[ladder->count++];
    ladder_describe(probe, quality, rendition);
    ladder->made |= 1u << quality;
    /* The smallest is always made; `original` may be left out later. */
    if (quality != TAILSLATE_QUALITY_ORIGINAL || ladder->count == 1)
        ladder->audio_home = quality;
    const struct audio_track *track = main_track(probe);
    rendition->copies_audio = quality == TAILSLATE_QUALITY_ORIGINAL && track &&
                              AMONG(track->codec, "aac", "ac3", "eac3", "mp3");
}

void ladder_plan(const struct probe *probe, const struct config *config,
                 tailslate_quality_set existing, struct ladder *ladder)
{
    *ladder = (struct ladder){.count = 0};
    for (enum tailslate_quality quality = TAILSLATE_QUALITY_2160P;
         quality <= TAILSLATE_QUALITY_360P; quality++)
        if (short_side(probe) >= tailslate_quality_short_side(quality) ||
            quality == TAILSLATE_QUALITY_360P)
            add(ladder, probe, quality, existing);
    if (config->transcode.original)
        ladder->without_original = why_no_original(probe);
    if (config->transcode.original && !ladder->without_original)
        add(ladder, probe, TAILSLATE_QUALITY_ORIGINAL, existing);
    if (ladder->count > 0 && probe->audio.count > 1)
        ladder->audio_files = probe->audio.count;
}

int64_t ladder_expected_bytes(const struct ladder *ladder, const struct probe *probe,
                              int64_t source_bytes)
{
    int64_t total = (int64_t)((double)ladder->audio_files * AUDIO_KBIT * 1000 / 8 *
                              probe->duration_s);
    for (size_t i = 0; i < ladder->count; i++) {
        double kbit = (double)ladder->renditions[i].bitrate_kbit * 1.5 + AUDIO_KBIT;
        total += ladder->renditions[i].quality == TAILSLATE_QUALITY_ORIGINAL
                     ? source_bytes
                     : (int64_t)(kbit * 1000 / 8 * probe->duration_s);
    }
    return total;
}

/* ---- ffmpeg's arguments ---------------------------------------------------------------------- */

static void push_all(struct argv *argv, const char *const words[])
{
    for (size_t i = 0; words[i]; i++)
        argv_push(argv, "%s", words[i]);
}

#define PUSH(argv, ...) push_all((argv), (const char *const[]){__VA_ARGS__, NULL})

static void push_input(struct argv *argv, const struct config *config, const char *source)
{
    PUSH(argv, "-protocol_whitelist", "file,pipe", "-format_whitelist");
    argv_push(argv, "%s", PROBE_FORMATS);
    if (config->transcode.threads > 0) {
        PUSH(argv, "-threads");
        argv_push(argv, "%lld", (long long)config->transcode.threads);
    }
    PUSH(argv, "-i");
    argv_push(argv, "file:%s", source);
}

static void push_head(struct argv *argv, const struct config *config)
{
    PUSH(argv, config->transcode.ffmpeg, "-hide_banner", "-nostdin", "-nostats", "-loglevel",
         "error", "-y");
}

size_t ladder_count_encoded(const struct ladder *ladder)
{
    return ladder->count - ((ladder->made >> TAILSLATE_QUALITY_ORIGINAL) & 1);
}

static double keyframe_seconds(const struct config *config)
{
    double segment = config->transcode.segment_seconds;
    return segment < KEYFRAME_SECONDS ? segment : KEYFRAME_SECONDS;
}

static void push_video(struct argv *argv, const struct ladder_rendition *rendition,
                       const struct probe *probe, const struct config *config,
                       const struct encoder_use *use)
{
    struct encoder_settings settings = {
        .bitrate_kbit = rendition->bitrate_kbit,
        .threads = config->transcode.threads,
        .preset = config->transcode.preset,
        .keyframe_seconds = keyframe_seconds(config),
        .frame_rate = filter_fps(probe, config),
        .is_ten_bit = filter_keeps_hdr(probe, use),
    };
    encoder_push_video(use, &settings, argv);
    PUSH(argv, "-fps_mode:v", "cfr");
    if (filter_changes_rate(probe, config) || encoder_counts_frames(use->id)) {
        PUSH(argv, "-r:v");
        argv_push(argv, "%.10g", filter_fps(probe, config));
    }
}

/* The names of an output's files, below its rendition's directory. */
struct hls_names {
    const char *playlist, *init, *segment;
};

/* One track after the other in each segment: rewrite.h lists them separately. */
#define LADDER_SEPARATE "-hls_segment_options", "movflags=+separate_moof"

/* The muxer shifts what would start below 0 (B-frames, the encoder's delay) by an amount that
 * depends on the tracks in the file. With this offset it does not need to, and separate audio files
 * stay in sync with the video. */
#define COMMON_START "0.2"

/* temp_file: a segment gets its name when it is complete, which is the signal for the upload. */
static void push_muxer(struct argv *argv, const struct ladder *ladder,
                       enum tailslate_quality quality, const struct hls_names *names,
                       const struct config *config, const char *output)
{
    const char *directory = tailslate_quality_name(quality);
    PUSH(argv, "-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1", "-max_muxing_queue_size",
         "4096", "-f", "hls", "-hls_segment_type", "fmp4", "-hls_playlist_type", "vod",
         "-hls_list_size", "0", "-hls_flags", "independent_segments+temp_file",
         "-hls_fmp4_init_filename", names->init, "-hls_time");
    argv_push(argv, "%g", config->transcode.segment_seconds);
    if (ladder->audio_files > 0)
        PUSH(argv, LADDER_SEPARATE, "-output_ts_offset", COMMON_START);
    PUSH(argv, "-hls_segment_filename");
    argv_push(argv, "%s/%s/%s", output, directory, names->segment);
    argv_push(argv, "%s/%s/%s", output, directory, names->playlist);
}

static void push_original(struct argv *argv, const struct ladder_rendition *rendition,
                          const struct probe *probe)
{
    const struct audio_track *track = main_track(probe);
    PUSH(argv, "-c:v", "copy");
    if (strcmp(probe->video_codec, "hevc") == 0)
        PUSH(argv, "-tag:v", "hvc1"); /* the only form that Apple's players accept */
    if (!track || !rendition->copies_audio)
        return;
    PUSH(argv, "-c:a", "copy");
    /* AAC from a transport stream has a form that MP4 does not accept; other AAC passes through
     * unchanged. */
    if (strcmp(track->codec, "aac") == 0)
        PUSH(argv, "-bsf:a", "aac_adtstoasc");
}

static void push_maps(struct argv *argv, bool is_original, size_t i, const struct probe *probe)
{
    PUSH(argv, "-map");
    if (is_original)
        argv_push(argv, "0:%d", probe->video_index);
    else
        argv_push(argv, "[v%zu]", i);
    if (main_track(probe)) {
        PUSH(argv, "-map");
        argv_push(argv, "0:%d", main_track(probe)->index);
    }
}

static void push_output(struct argv *argv, const struct ladder *ladder, size_t i,
                        const struct probe *probe, const struct config *config,
                        const struct encoder_use *use, const char *output)
{
    const struct ladder_rendition *rendition = &ladder->renditions[i];
    bool is_original = rendition->quality == TAILSLATE_QUALITY_ORIGINAL;
    push_maps(argv, is_original, i, probe);
    if (is_original)
        push_original(argv, rendition, probe);
    else
        push_video(argv, rendition, probe, config, use);
    if (main_track(probe) && !rendition->copies_audio)
        audio_push_encoder(main_track(probe), argv);
    push_muxer(argv, ladder, rendition->quality,
               &(struct hls_names){LADDER_PLAYLIST, LADDER_INIT, LADDER_SEGMENT}, config, output);
}

static void push_audio_output(struct argv *argv, const struct ladder *ladder, size_t number,
                              const struct audio_track *track, const struct config *config,
                              const char *output)
{
    char playlist[AUDIO_FILE_BYTES], init[AUDIO_FILE_BYTES], segment[AUDIO_FILE_BYTES];
    snprintf(playlist, sizeof playlist, AUDIO_PLAYLIST, number);
    snprintf(init, sizeof init, AUDIO_INIT, number);
    snprintf(segment, sizeof segment, AUDIO_SEGMENT, number);
    PUSH(argv, "-map");
    argv_push(argv, "0:%d", track->index);
    audio_push_encoder(track, argv);
    push_muxer(argv, ladder, ladder->audio_home, &(struct hls_names){playlist, init, segment},
               config, output);
}

void ladder_argv(const struct ladder *ladder, const struct probe *probe,
                 const struct config *config, const struct encoder_use *use, const char *source,
                 const char *output, struct argv *argv)
{
    must(ladder->count > 0);
    push_head(argv, config);
    PUSH(argv, "-stats_period", "1", "-progress");
    argv_push(argv, "file:%s", LADDER_PROGRESS_FILE);
    if (ladder_count_encoded(ladder) > 0)
        encoder_push_device(use, argv);
    push_input(argv, config, source);
    if (ladder_count_encoded(ladder) > 0)
        filter_push(ladder, probe, config, use, argv);
    for (size_t i = 0; i < ladder->count; i++)
        push_output(argv, ladder, i, probe, config, use, output);
    for (size_t i = 0; i < ladder->audio_files; i++)
        push_audio_output(argv, ladder, i, &probe->audio.tracks[i], config, output);
}

void ladder_thumbnail_argv(const struct probe *probe, const struct config *config,
                           const struct encoder_use *use, double at_s, const char *source,
                           const char *output, struct argv *argv)
{
    push_head(argv, config);
    if (at_s > 0) { /* seeking requires timestamps */
        PUSH(argv, "-ss");
        argv_push(argv, "%.3f", at_s);
    }
    push_input(argv, config, source);
    PUSH(argv, "-map");
    argv_push(argv, "0:%d", probe->video_index);
    PUSH(argv, "-frames:v", "1", "-vf");
    int64_t width = probe->width < THUMBNAIL_WIDTH_PX ? probe->width : THUMBNAIL_WIDTH_PX;
    double scale = (double)width / (double)probe->width;
    argv_push(argv, "%sscale=%lld:%lld,setsar=1", filter_tone_map(probe, use),
              (long long)even((double)width, width),
              (long long)even((double)probe->height * scale, probe->height));
    PUSH(argv, "-q:v", "3", "-f", "image2", "-update", "1");
    argv_push(argv, "file:%s/%s", output, LADDER_THUMBNAIL);
}

void ladder_first_frame_argv(const struct probe *probe, const struct config *config,
                             const char *source, const char *output, struct argv *argv)
{
    push_head(argv, config);
    push_input(argv, config, source);
    PUSH(argv, "-map");
    argv_push(argv, "0:%d", probe->video_index);
    PUSH(argv, "-frames:v", "1", "-c:v", "rawvideo", "-f", "rawvideo");
    argv_push(argv, "file:%s/%s", output, LADDER_FIRST_FRAME);
}

/* Two seconds between keyframes would exceed the whole test, so it uses a shorter interval. */
void ladder_encoder_probe_argv(const struct config *config, const struct encoder_use *use,
                               struct argv *argv)
{
    static const struct probe pattern = {.width = TEST_WIDTH_PX,
                                         .height = TEST_HEIGHT_PX,
                                         .frame_rate = TEST_FPS,
                                         .tick_rate = TEST_FPS};
    static const struct ladder ladder = {
        .renditions = {{.quality = TAILSLATE_QUALITY_360P,
                        .width = TEST_WIDTH_PX,
                        .height = TEST_HEIGHT_PX,
                        .bitrate_kbit = 600}},
        .count = 1,
        .made = 1u << TAILSLATE_QUALITY_360P,
    };
    struct config shorter = *config;
    shorter.transcode.segment_seconds = 0.4;
    push_head(argv, config);
    encoder_push_device(use, argv);
    PUSH(argv, "-f", "lavfi", "-i");
    argv_push(argv, "testsrc2=size=%dx%d:rate=%d:duration=1", TEST_WIDTH_PX, TEST_HEIGHT_PX,
              TEST_FPS);
    filter_push(&ladder, &pattern, &shorter, use, argv);
    push_maps(argv, false, 0, &pattern);
    push_video(argv, &ladder.renditions[0], &pattern, &shorter, use);
    PUSH(argv, "-f", "mp4", "-movflags", "+frag_keyframe+delay_moov+default_base_moof", "pipe:1");
}

/* Long enough to contain a frame and audio. */
void ladder_copy_test_argv(const struct probe *probe, const struct config *config,
                           const char *source, struct argv *argv)
{
    struct ladder ladder = {.count = 0};
    add(&ladder, probe, TAILSLATE_QUALITY_ORIGINAL, 0);
    push_head(argv, config);
    push_input(argv, config, source);
    push_maps(argv, true, 0, probe);
    push_original(argv, &ladder.renditions[0], probe);
    if (main_track(probe) && !ladder.renditions[0].copies_audio)
        audio_push_encoder(main_track(probe), argv);
    PUSH(argv, "-t", "5", "-f", "mp4", "-movflags", "+frag_keyframe+delay_moov+default_base_moof",
         "file:/dev/null");
}
