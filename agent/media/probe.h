/* probe: what the source is. ffprobe looks, probe_parse (pure) understands its JSON.
 *
 * The source is somebody's upload: only film containers are opened (a playlist that names other
 * files of this machine is none), only through the file protocol, within a time limit and with a
 * bounded output. Cover art is no film. */
#ifndef AGENT_PROBE_H
#define AGENT_PROBE_H

#include "agent/media/audio.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PROBE_WORD_BYTES = 32,
    PROBE_STREAMS_MAX = 32, /* what is more is not looked at */
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

/* The same for our own outputs, and a command's. */
#define PROBE_PLAYLIST_FORMATS "hls,mov,mp4"

/* Of the brightness: by the transfer function that the stream names. */
enum probe_range { PROBE_RANGE_SDR, PROBE_RANGE_PQ, PROBE_RANGE_HLG };

/* A picture or sound track, cover art left out. */
struct probe_stream {
    int index;
    bool is_video;
    int64_t pixels; /* of a picture; 0 unknown */
};

struct probe {
    double duration_s; /* as the file says; source.h puts the truth in its place; 0: unknown */
    double pictures_s; /* of the pictures alone; by source.h */
    bool is_duration_guessed; /* by ffmpeg, of a container that says nothing of its length */
    struct probe_stream streams[PROBE_STREAMS_MAX];
    size_t stream_count;
    char format[PROBE_WORD_BYTES];    /* ffmpeg's name of the container */
    char video_tag[PROBE_WORD_BYTES]; /* of the codec, as the container has it */
    bool encrypted;
    int64_t width, height; /* as displayed: pixels square, rotation done */
    int64_t coded_width, coded_height;
    int video_index;       /* stream number */
    struct audio audio;    /* those with a known codec, best first; audio_trial has the last word */
    int64_t audio_streams; /* in the file, known or not */
    char video_codec[PROBE_WORD_BYTES], pixel_format[PROBE_WORD_BYTES];
    double frame_rate; /* on average; 0 unknown */
    double tick_rate;  /* of the finest time step: far over frame_rate where it varies */
    double start_s;    /* of the first stream's first packet */
    enum probe_range range;
    bool interlaced;
    bool turned;     /* displayed otherwise than coded: a rotation flag */
    bool uncopyable; /* by copy_trial: not into MP4 */
};

enum probe_verdict {
    PROBE_FILM,
    PROBE_NO_VIDEO,   /* sound only, cover art only, nothing: *err says which */
    PROBE_UNREADABLE, /* not what ffprobe prints for a film */
};
/* video: the number of the stream to take; -1: the best by its flags. */
enum probe_verdict probe_parse(const char *json, size_t size, int video, struct probe *probe,
                               struct error *err);

/* ffprobe's arguments are in probe.c; path is relative to the record. -1 with err PERMANENT: this
 * source will never be a film; TEMPORARY: try again. video: as above. */
struct session;
int probe_source(struct session *session, const char *path, int video, struct probe *probe,
                 struct error *err);
int probe_playlist(struct session *session, const char *path, struct probe *probe,
                   struct error *err);
/* Runs an ffmpeg that writes `-progress pipe:1`; how far it came. -1: it was nowhere. */
int probe_run_measure(struct session *session, struct argv *argv, int64_t limit_ms,
                      double *reached_s, struct error *err);
/* How long the source's pictures are that decode; takes as long as to decode them. */
int probe_measure_decoded(struct session *session, const char *path, const struct probe *probe,
                          double *decoded_s, struct error *err);
/* Goes through the pictures of one of our playlists: sets duration_s only. */
int probe_measure_playlist(struct session *session, const char *path, struct probe *probe,
                           struct error *err);

#endif
