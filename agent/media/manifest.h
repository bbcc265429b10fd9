/* manifest: master.m3u8 (HLS) and manifest.mpd (DASH) from the measurements of the renditions.
 * Pure.
 *
 * The MPD is static, of the isoff-live profile, with a SegmentTimeline that contains the playlists'
 * own durations. Renditions whose segments start at the same times share an AdaptationSet, so that
 * players switch between them; each of the others (`original` keeps its own keyframes) gets its
 * own. A rendition without `segments` is on the server from an earlier job, with unknown segment
 * times: the master playlist lists it, the MPD cannot.
 *
 * The audio renditions are an EXT-X-MEDIA group of the master playlist. Every rendition contains
 * the first one, so it has no URI. A single one is not a group. Languages and titles come from the
 * source; characters that a playlist cannot contain are replaced. */
#ifndef AGENT_MANIFEST_H
#define AGENT_MANIFEST_H

#include "agent/media/audio.h"
#include "agent/media/measure.h"
#include "base/playlist.h"

#include "tailslate/quality.h"

struct manifest_rendition {
    enum tailslate_quality quality;
    int64_t width, height;           /* as displayed */
    int64_t peak_bps, average_bps;   /* of whole segments, audio included */
    struct rates video;              /* of video.m3u8, video only; 0: it does not exist */
    char codecs[CODECS_BYTES];       /* "" = unknown, left out */
    double frame_rate;               /* 0 = unknown, left out */
    const char *video_range;         /* "PQ", "HLG"; NULL = SDR or unknown, left out */
    bool is_flat;                    /* <quality>.m3u8, the older layout */
    int64_t start_us;                /* the first frame's time in the segments */
    const struct playlist *segments; /* borrowed; NULL: see above */
};

/* An audio rendition. */
struct manifest_audio {
    const struct audio_track *track; /* borrowed */
    enum tailslate_quality home;
    size_t number; /* number of its files in home's directory */
    int64_t peak_bps, average_bps;
};

/* Can viewers choose the audio? Only if every rendition has video-only segments, which a rendition
 * from an earlier job may not have. */
bool manifest_has_choice(const struct manifest_rendition *renditions, size_t count,
                         size_t audio_count);

/* The caller owns both. renditions are in the order in which players see them. */
char *manifest_master(const struct manifest_rendition *renditions, size_t count,
                      const struct manifest_audio *audio, size_t audio_count);
/* NULL: no rendition has segments. */
char *manifest_mpd(const struct manifest_rendition *renditions, size_t count);

#endif
