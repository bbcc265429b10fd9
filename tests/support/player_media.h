/* player_media: one media playlist and the packets of its segments; a part of player. */
#ifndef SUPPORT_PLAYER_MEDIA_H
#define SUPPORT_PLAYER_MEDIA_H

#include "process.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { COMPLAINT_BYTES = 1024, SEGMENTS_MAX = 500, KEYFRAMES_MAX = 1000, CODEC_BYTES = 64 };

struct player {
    const char *directory;
    char complaint[COMPLAINT_BYTES];
};
/* False, always. */
bool complain(struct player *player, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct player_track {
    bool is_there;
    double start_s, end_s;   /* of all segments */
    char codec[CODEC_BYTES]; /* as CODECS has to begin: "avc1.64001e", "mp4a.40.2" */
};

struct player_media {
    char path[PATH_BYTES]; /* below the directory: "720p/stream.m3u8" */
    long target_s;
    size_t count;
    struct player_segment {
        char name[128];
        double extinf_s, start_s; /* start_s: of its first picture, or of its sound */
        int64_t bytes;
    } segments[SEGMENTS_MAX];
    char init[128];
    double total_s, peak_bps, average_bps;
    struct player_track video, audio;
    double keyframes_s[KEYFRAMES_MAX];
    size_t keyframe_count;
    int width, height; /* as displayed */
};

/* All that a playlist and its segments can be asked for by themselves. False: complained. */
bool player_media_read(struct player *player, const char *path, struct player_media *media);

#endif
