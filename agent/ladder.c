#include "ladder.h"

#include <math.h>
#include <string.h>

enum {
    KEYFRAME_SECONDS = 2,
    AUDIO_KBIT = 128,
    AUDIO_HZ = 48000,
    RATE_PLAIN_FPS = 61, /* up to here the finest time step is taken for the frame rate */
    RATE_SLOW_FPS = 30,
    RATE_FAST_FPS = 60,
    THUMBNAIL_WIDTH_PX = 640,
};

/* ---- which renditions ------------------------------------------------------------------------ */

/* The nearest even number that is not over `most`: not even one pixel is made up. */
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

void ladder_describe(const struct probe *probe, enum quality quality,
                     struct ladder_rendition *rendition)
{
    *rendition = (struct ladder_rendition){
        .quality = quality,
        .width = probe->width,
        .height = probe->height,
        .bitrate_kbit = quality_bitrate_kbit(quality),
    };
    if (quality == QUALITY_ORIGINAL)
        return;
    double side = (double)quality_short_side(quality), source = (double)short_side(probe);
    double scale = side < source ? side / source : 1;
    rendition->width = even((double)probe->width * scale, probe->width);
    rendition->height = even((double)probe->height * scale, probe->height);
}

static const char *why_no_original(const struct probe *probe)
{
    if (!AMONG(probe->video_codec, "h264", "hevc", "av1"))
        return "its video codec is not h264, hevc or av1";
    if (!AMONG(probe->pixel_format, "yuv420p", "yuvj420p", "yuv420p10le"))
        return "its pictures are not 4:2:0 with 8 or 10 bits";
    if (probe->turned)
        return "it is rotated by a flag that segments do not carry";
    return NULL;
}

static void add(struct ladder *ladder, const struct probe *probe, enum quality quality,
                quality_set existing)
{
    if (existing & (1u << quality))
        return;
    struct ladder_rendition *rendition = &ladder->renditions[ladder->count++];
    ladder_describe(probe, quality, rendition);
    ladder->made |= 1u << quality;
    rendition->copies_audio = quality == QUALITY_ORIGINAL && probe->audio_index >= 0 &&
                              AMONG(probe->audio_codec, "aac", "ac3", "eac3", "mp3");
}

void ladder_plan(const struct probe *probe, const struct config *config, quality_set existing,
                 struct ladder *ladder)
{
    *ladder = (struct ladder){.count = 0};
    for (enum quality quality = QUALITY_2160P; quality <= QUALITY_360P; quality++)
        if (short_side(probe) >= quality_short_side(quality) || quality == QUALITY_360P)
            add(ladder, probe, quality, existing);
    if (!config->transcode.original)
        return;
    ladder->without_original = why_no_original(probe);
    if (!ladder->without_original)
        add(ladder, probe, QUALITY_ORIGINAL, existing);
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
    PUSH(argv, "-protocol_whitelist", "file,pipe", "-format_whitelist", PROBE_FORMATS);
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

static size_t count_encoded(const struct ladder *ladder)
{
    return ladder->count - ((ladder->made >> QUALITY_ORIGINAL) & 1);
}

/* [0:v]split=2[s0][s1];[s0]scale=...[v0];[s1]scale=...[v1] */
static void push_filter(struct argv *argv, const struct ladder *ladder, const struct probe *probe)
{
    size_t count = count_encoded(ladder), used = 0;
    char graph[2048], part[160];
    int size = snprintf(graph, sizeof graph, "[0:%d]%ssplit=%zu", probe->video_index,
                        probe->interlaced ? "yadif=deint=interlaced," : "", count);
    used = (size_t)size;
    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(graph + used, sizeof graph - used, "[s%zu]", i);
    for (size_t i = 0; i < count; i++) {
        const struct ladder_rendition *rendition = &ladder->renditions[i];
        size = snprintf(part, sizeof part,
                        ";[s%zu]scale=%lld:%lld:flags=bicubic,setsar=1,format=yuv420p[v%zu]", i,
                        (long long)rendition->width, (long long)rendition->height, i);
        must(size > 0 && used + (size_t)size < sizeof graph);
        memcpy(graph + used, part, (size_t)size + 1);
        used += (size_t)size;
    }
    PUSH(argv, "-filter_complex", graph);
}

static double keyframe_seconds(const struct config *config)
{
    double segment = config->transcode.segment_seconds;
    return segment < KEYFRAME_SECONDS ? segment : KEYFRAME_SECONDS;
}

/* The rate is made constant: in a film of varying rate the last segment's EXTINF would be the sum
 * of made-up packet durations (ffmpeg 5.1), and a gap at a segment's edge would be lost. Where the
 * finest time step says nothing about the frames (a 1/1000 s grid), a usual rate is taken.
 * 0: the source's own. */
static int grid_fps(const struct probe *probe)
{
    if (probe->tick_rate <= RATE_PLAIN_FPS || probe->tick_rate <= probe->frame_rate * 1.5)
        return 0;
    return probe->frame_rate > RATE_SLOW_FPS + 1 ? RATE_FAST_FPS : RATE_SLOW_FPS;
}

static void push_video(struct argv *argv, const struct ladder_rendition *rendition,
                       const struct probe *probe, const struct config *config)
{
    long long kbit = (long long)rendition->bitrate_kbit;
    double step = keyframe_seconds(config);
    PUSH(argv, "-c:v", "libx264", "-preset", config->transcode.preset, "-profile:v", "high");
    if (config->transcode.threads > 0) {
        PUSH(argv, "-threads:v");
        argv_push(argv, "%lld", (long long)config->transcode.threads);
    }
    PUSH(argv, "-b:v");
    argv_push(argv, "%lldk", kbit);
    PUSH(argv, "-maxrate:v");
    argv_push(argv, "%lldk", kbit * 3 / 2);
    PUSH(argv, "-bufsize:v");
    argv_push(argv, "%lldk", kbit * 2);
    /* From the last keyframe, not by counting them: after a gap in a film of varying rate, counting
     * would force every frame until it has caught up. */
    PUSH(argv, "-force_key_frames");
    argv_push(argv, "expr:if(isnan(prev_forced_t),1,gte(t,(floor(prev_forced_t/%g)+1)*%g))", step,
              step);
    PUSH(argv, "-sc_threshold", "0", "-g", "100000", "-flags:v", "+cgop", "-fps_mode:v", "cfr");
    if (grid_fps(probe) > 0) {
        PUSH(argv, "-r:v");
        argv_push(argv, "%d", grid_fps(probe));
    }
}

static void push_audio(struct argv *argv)
{
    PUSH(argv, "-c:a", "aac", "-ac:a", "2");
    PUSH(argv, "-b:a");
    argv_push(argv, "%dk", AUDIO_KBIT);
    PUSH(argv, "-ar:a");
    argv_push(argv, "%d", AUDIO_HZ);
}

/* temp_file: a segment gets its name when it is whole, which is how the upload knows. */
static void push_muxer(struct argv *argv, const struct ladder_rendition *rendition,
                       const struct config *config, const char *output)
{
    const char *name = quality_name(rendition->quality);
    PUSH(argv, "-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1", "-max_muxing_queue_size",
         "4096", "-f", "hls", "-hls_segment_type", "fmp4", "-hls_playlist_type", "vod",
         "-hls_list_size", "0", "-hls_flags", "independent_segments+temp_file",
         "-hls_fmp4_init_filename", LADDER_INIT, "-hls_time");
    argv_push(argv, "%g", config->transcode.segment_seconds);
    PUSH(argv, "-hls_segment_filename");
    argv_push(argv, "%s/%s/%s", output, name, LADDER_SEGMENT);
    argv_push(argv, "%s/%s/%s", output, name, LADDER_PLAYLIST);
}

static void push_original(struct argv *argv, const struct ladder_rendition *rendition,
                          const struct probe *probe)
{
    PUSH(argv, "-c:v", "copy");
    if (strcmp(probe->video_codec, "hevc") == 0)
        PUSH(argv, "-tag:v", "hvc1"); /* the only form that Apple's players take */
    if (probe->audio_index >= 0 && rendition->copies_audio)
        PUSH(argv, "-c:a", "copy");
    /* Out of a transport stream AAC comes in a form that MP4 does not take; other AAC passes. */
    if (rendition->copies_audio && strcmp(probe->audio_codec, "aac") == 0)
        PUSH(argv, "-bsf:a", "aac_adtstoasc");
    if (probe->audio_index >= 0 && !rendition->copies_audio)
        push_audio(argv);
}

static void push_maps(struct argv *argv, bool is_original, size_t i, const struct probe *probe)
{
    PUSH(argv, "-map");
    if (is_original)
        argv_push(argv, "0:%d", probe->video_index);
    else
        argv_push(argv, "[v%zu]", i);
    if (probe->audio_index >= 0) {
        PUSH(argv, "-map");
        argv_push(argv, "0:%d", probe->audio_index);
    }
}

static void push_output(struct argv *argv, const struct ladder *ladder, size_t i,
                        const struct probe *probe, const struct config *config, const char *output)
{
    const struct ladder_rendition *rendition = &ladder->renditions[i];
    bool is_original = rendition->quality == QUALITY_ORIGINAL;
    push_maps(argv, is_original, i, probe);
    if (is_original) {
        push_original(argv, rendition, probe);
    } else {
        push_video(argv, rendition, probe, config);
        if (probe->audio_index >= 0)
            push_audio(argv);
    }
    push_muxer(argv, rendition, config, output);
}

void ladder_argv(const struct ladder *ladder, const struct probe *probe,
                 const struct config *config, const char *source, const char *output,
                 struct argv *argv)
{
    must(ladder->count > 0);
    push_head(argv, config);
    PUSH(argv, "-stats_period", "1", "-progress", "file:" LADDER_PROGRESS_FILE);
    push_input(argv, config, source);
    if (count_encoded(ladder) > 0)
        push_filter(argv, ladder, probe);
    for (size_t i = 0; i < ladder->count; i++)
        push_output(argv, ladder, i, probe, config, output);
}

void ladder_thumbnail_argv(const struct probe *probe, const struct config *config, double at_s,
                           const char *source, const char *output, struct argv *argv)
{
    push_head(argv, config);
    PUSH(argv, "-ss");
    argv_push(argv, "%.3f", at_s);
    push_input(argv, config, source);
    PUSH(argv, "-map");
    argv_push(argv, "0:%d", probe->video_index);
    PUSH(argv, "-frames:v", "1", "-vf");
    int64_t width = probe->width < THUMBNAIL_WIDTH_PX ? probe->width : THUMBNAIL_WIDTH_PX;
    double scale = (double)width / (double)probe->width;
    argv_push(argv, "scale=%lld:%lld,setsar=1", (long long)even((double)width, width),
              (long long)even((double)probe->height * scale, probe->height));
    PUSH(argv, "-q:v", "3", "-f", "image2", "-update", "1");
    argv_push(argv, "file:%s/%s", output, LADDER_THUMBNAIL);
}
