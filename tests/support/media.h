/* media: small clips, made once a build directory with the real ffmpeg, and shared by all tests.
 *
 * A clip is made under a name of its own and renamed: two tests that want it at the same moment
 * both make it, and either is right. Nothing here is ever changed by a test: copy first. */
#ifndef SUPPORT_MEDIA_H
#define SUPPORT_MEDIA_H

#include <stdint.h>

#define MEDIA_CLIPS(X)                                                                             \
    X(TINY, "tiny.mp4")           /* 320x180, 1.5 s, sound: one rendition, for many runs */        \
    X(NORMAL, "normal.mp4")       /* 640x360, 3 s, sound */                                        \
    X(HD, "hd.mp4")               /* 1280x720, 5 s, sound: three renditions */                     \
    X(SILENT, "silent.mp4")       /* no sound track */                                             \
    X(PORTRAIT, "portrait.mp4")   /* 360x640 */                                                    \
    X(ROTATED, "rotated.mp4")     /* 640x360 with a rotation of 90 degrees: portrait on screen */  \
    X(ODD, "odd.mkv")             /* 321x181 */                                                    \
    X(SHORT, "short.mp4")         /* 1 s, shorter than a segment */                                \
    X(LONG, "long.mp4")           /* 640x360, 12 s: long enough to be killed in */                 \
    X(NO_MOOV, "no_moov.mp4")     /* cut off before its index */                                   \
    X(TRUNCATED, "truncated.mkv") /* its header says 20 s, 5 s are there */                        \
    X(TEXT, "text.mp4")           /* words */                                                      \
    X(EMPTY, "empty.mp4")         /* 0 bytes */                                                    \
    X(AUDIO, "audio.mp4")         /* sound only */                                                 \
    X(UNTIMED, "untimed.avi")     /* 320x240, B-frames in a container without their times */       \
    X(LATE, "late.mkv")           /* the picture begins 2 s after the sound */                     \
    X(MID_GOP, "mid_gop.mkv")     /* its beginning is cut off, up to within a GOP */               \
    X(TRIMMED, "trimmed.mp4")     /* cut by an edit list, keyframes every 4 s */                   \
    X(LATE_SOUND, "late_sound.mp4") /* the sound begins 0.4 s late, by an edit list */             \
    X(LOW_MP3, "low_mp3.mkv")       /* MP3 of 8000 Hz, which MP4 does not take */                  \
    X(FAR_KEYS, "far_keys.mp4")     /* 24 s, one keyframe */

enum media {
#define MEDIA_ENUM(name, file) MEDIA_##name,
    MEDIA_CLIPS(MEDIA_ENUM)
#undef MEDIA_ENUM
        MEDIA_COUNT
};

const char *media_clip(enum media clip); /* its path; made if it is not there */

/* A file of the directory that the clips are in, for what else need be made once a build. Owned. */
char *media_beside(const char *name);

/* A finished output tree (360p as CMAF, master.m3u8, manifest.mpd, thumbnail.jpg) of MEDIA_NORMAL,
 * for clients that upload without transcoding. */
const char *media_tree(void);

/* By ffprobe. A file that it cannot read fails the test. */
double media_duration(const char *path);
/* One value, e.g. ("stream=width", "v:0"); streams NULL: all. Lines if several. Owned. */
char *media_probe(const char *path, const char *entries, const char *streams);
/* Fails the test unless every stream decodes from end to end. */
void media_plays(const char *path);
/* The times of all keyframes, a line each; owned. By packets: not every decoder can leave the other
 * frames out. */
char *media_keyframes(const char *playlist);

#endif
