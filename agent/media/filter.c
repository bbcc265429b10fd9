#include "agent/media/filter.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    RATE_PLAIN_FPS = 61, /* up to this rate the smallest time step is taken as the frame rate */
    RATE_SLOW_FPS = 30,
    RATE_FAST_FPS = 60,
    RATE_UNKNOWN_FPS = 25,
    GRAPH_BYTES = 3072,
};
#define HOLD_FROM_SECONDS 0.5
#define RATE_ROUNDING     0.001 /* 60.0 and 59.94 are one rate */

/* ---- times ----------------------------------------------------------------------------------- */

double filter_held_s(const struct probe *probe)
{
    double missing_s = probe->duration_s - probe->video_s;
    return probe->video_s > 0 && missing_s > HOLD_FROM_SECONDS ? missing_s : 0;
}

/* The frame rate is made constant: with a variable rate the last segment's EXTINF would be the sum
 * of invented packet durations (ffmpeg 5.1), and a gap at a segment boundary would be lost. If the
 * smallest time step says nothing about the frames (a 1/1000 s grid), a common rate is used. 0: the
 * source's own. */
static int grid_fps(const struct probe *probe)
{
    if (probe->tick_rate <= RATE_PLAIN_FPS || probe->tick_rate <= probe->frame_rate * 1.5)
        return 0;
    return probe->frame_rate > RATE_SLOW_FPS + 1 ? RATE_FAST_FPS : RATE_SLOW_FPS;
}

/* The constant rate that ffmpeg chooses by default. */
static double constant_fps(const struct probe *probe)
{
    if (grid_fps(probe) > 0)
        return grid_fps(probe);
    double fps = probe->tick_rate > 0 ? probe->tick_rate : probe->frame_rate;
    return fps > 0 ? fps : RATE_UNKNOWN_FPS;
}

/* Divided by an integer, so that the remaining frames are evenly spaced. */
double filter_fps(const struct probe *probe, const struct config *config)
{
    double fps = constant_fps(probe), most = config->transcode.max_fps;
    return most > 0 && fps > most * (1 + RATE_ROUNDING)
               ? fps / ceil(fps / (most * (1 + RATE_ROUNDING)))
               : fps;
}

bool filter_changes_rate(const struct probe *probe, const struct config *config)
{
    return grid_fps(probe) > 0 || filter_fps(probe, config) < constant_fps(probe);
}

/* ---- colors ---------------------------------------------------------------------------------- */

static bool is_hdr(const struct probe *probe)
{
    return probe->range != PROBE_RANGE_SDR;
}

bool filter_keeps_hdr(const struct probe *probe, const struct encoder_use *use)
{
    return is_hdr(probe) && encoder_codec(use->id) != TAILSLATE_CODEC_H264;
}

/* To BT.709 with 8 bits. The primaries that go with PQ and HLG are set explicitly, because videos
 * often omit them. */
static const char *tone_map(const struct probe *probe)
{
#define FROM_WIDE(transfer) "zscale=tin=" transfer ":min=bt2020nc:pin=bt2020:t=linear:npl=100,"
#define TO_NARROW                                                                                  \
    "format=gbrpf32le,zscale=p=bt709,tonemap=tonemap=hable:desat=0,zscale=t=bt709:m=bt709:r=tv,"   \
    "format=yuv420p,"
    return probe->range == PROBE_RANGE_PQ ? FROM_WIDE("smpte2084") TO_NARROW
                                          : FROM_WIDE("arib-std-b67") TO_NARROW;
#undef FROM_WIDE
#undef TO_NARROW
}

const char *filter_tone_map(const struct probe *probe, const struct encoder_use *use)
{
    return is_hdr(probe) && use->can_tone_map ? tone_map(probe) : "";
}

/* ffmpeg would convert with the SD matrix and keep the RGB tag. */
static bool is_rgb(const struct probe *probe)
{
    static const char *const names[] = {"rgb",  "bgr",   "gbr",   "argb", "abgr", "0rgb",
                                        "0bgr", "x2rgb", "x2bgr", "pal8", NULL};
    for (size_t i = 0; names[i]; i++)
        if (strncmp(probe->pixel_format, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}
#define FROM_RGB ":out_color_matrix=bt709:out_range=tv"
#define AS_BT709 "setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709,"

/* ---- the graph ------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static void append(char *text, size_t size,
                                                         const char *format, ...)
{
    size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    int added = vsnprintf(text + used, size - used, format, arguments);
    va_end(arguments);
    must(added >= 0 && (size_t)added < size - used);
}

static void append_hold(char *graph, size_t size, const struct probe *probe,
                        const struct config *config)
{
    if (filter_held_s(probe) > 0)
        append(graph, size, "fps=%.10g,tpad=stop_mode=clone:stop_duration=%.3f,",
               filter_fps(probe, config), filter_held_s(probe));
}

/* [0:v]split=2[s0][s1];[s0]scale=...[v0];[s1]scale=...[v1] */
void filter_push(const struct ladder *ladder, const struct probe *probe,
                 const struct config *config, const struct encoder_use *use, struct argv *argv)
{
    size_t count = ladder_count_encoded(ladder);
    char graph[GRAPH_BYTES] = "";
    append(graph, sizeof graph, "[0:%d]%s%s", probe->video_index,
           probe->interlaced ? "yadif=deint=interlaced," : "",
           filter_keeps_hdr(probe, use) ? "" : filter_tone_map(probe, use));
    append_hold(graph, sizeof graph, probe, config);
    append(graph, sizeof graph, "split=%zu", count);
    for (size_t i = 0; i < count; i++)
        append(graph, sizeof graph, "[s%zu]", i);
    for (size_t i = 0; i < count; i++) {
        const struct ladder_rendition *rendition = &ladder->renditions[i];
        append(graph, sizeof graph, ";[s%zu]scale=%lld:%lld:flags=bicubic%s,setsar=1,%s%s[v%zu]", i,
               (long long)rendition->width, (long long)rendition->height,
               is_rgb(probe) ? FROM_RGB : "", is_rgb(probe) ? AS_BT709 : "",
               encoder_frames(use, filter_keeps_hdr(probe, use)), i);
    }
    argv_push(argv, "-filter_complex");
    argv_push(argv, "%s", graph);
}
