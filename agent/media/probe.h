/* probe: what the source is. Runs ffprobe; probe_parse.h reads its JSON.
 *
 * Anybody can upload a source, so only video containers are opened (not, for example, a playlist
 * that names other files of this machine), only through the file protocol, with a time limit and
 * limited output. Cover art does not count as video. */
#ifndef AGENT_PROBE_H
#define AGENT_PROBE_H

#include "agent/media/audio.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PROBE_NAME_BYTES = 32,
    PROBE_STREAMS_MAX = 32, /* further streams are ignored */
    PROBE_ANSWER_MAX_BYTES = 256 * 1024,
    PROBE_LIMIT_MS = 120 * 1000,
    PROBE_MEASURE_LIMIT_MS = 3600 * 1000,
    PROBE_MEASURE_MAX_BYTES = 16 * 1024 * 1024,
};

#define PROBE_MEMORY_MAX_BYTES (INT64_C(4) * 1024 * 1024 * 1024)

/* The containers that ffmpeg may open, for -format_whitelist. */
#define PROBE_FORMATS                                                                              \
    "mov,mp4,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf,mxf,nut,rm,dv,wtv,gxf,gif,ivf,obu,h264,"    \
    "hevc,m4v,mpegvideo,vc1,yuv4mpegpipe,mp3,wav,flac,aac,ac3,aiff,png_pipe,jpeg_pipe,webp_pipe"

/* The same for our own outputs and those of a command. */
#define PROBE_PLAYLIST_FORMATS "hls,mov,mp4"

/* The dynamic range, by the stream's transfer function. */
enum probe_range { PROBE_RANGE_SDR, PROBE_RANGE_PQ, PROBE_RANGE_HLG };

/* A video or audio track; cover art is left out. */
struct probe_stream {
    int index;
    bool is_video;
    int64_t pixels; /* of a video track; 0 = unknown */
};

struct probe {
    double
        duration_s; /* as the file states; source.h replaces it with the measured one; 0: unknown */
    double video_s; /* of the video alone; set by source.h */
    bool is_duration_guessed; /* estimated by ffmpeg, because the container does not state it */
    struct probe_stream streams[PROBE_STREAMS_MAX];
    size_t stream_count;
    char format[PROBE_NAME_BYTES];    /* ffmpeg's name for the container */
    char video_tag[PROBE_NAME_BYTES]; /* the codec tag in the container */
    bool encrypted;
    int64_t width, height; /* as displayed: square pixels, after rotation */
    int64_t coded_width, coded_height;
    int video_index;       /* stream number */
    struct audio audio;    /* tracks with a known codec, best first; source.h decides */
    int64_t audio_streams; /* in the file, known or not */
    char video_codec[PROBE_NAME_BYTES], pixel_format[PROBE_NAME_BYTES];
    double frame_rate; /* on average; 0 = unknown */
    double
        tick_rate;  /* of the smallest time step: much higher than frame_rate if the rate varies */
    double start_s; /* of the first stream's first packet */
    enum probe_range range;
    bool interlaced;
    bool turned;     /* displayed differently than coded: a rotation flag */
    bool uncopyable; /* set by pipeline_test_copy: cannot be copied into MP4 */
};

/* ffprobe's arguments are in probe.c; path is relative to the record. -1 with err PERMANENT: this
 * source can never become a video; TEMPORARY: try again. video: as in probe_parse.h. */
struct session;
int probe_source(struct session *session, const char *path, int video, struct probe *probe,
                 struct error *err);
int probe_playlist(struct session *session, const char *path, struct probe *probe,
                   struct error *err);
/* Runs an ffmpeg that writes `-progress pipe:1`; returns the time that it reached. -1: none. */
int probe_run_measure(struct session *session, struct argv *argv, int64_t limit_ms,
                      double *reached_s, struct error *err);
/* The duration of the source's video that can be decoded; takes as long as decoding it. */
int probe_measure_decoded(struct session *session, const char *path, const struct probe *probe,
                          double *decoded_s, struct error *err);
/* Reads the video of one of our playlists; sets only duration_s. */
int probe_measure_playlist(struct session *session, const char *path, struct probe *probe,
                           struct error *err);

#endif
