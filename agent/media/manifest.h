/* manifest: master.m3u8 (HLS) and manifest.mpd (DASH) from what was measured of the renditions.
 * Pure.
 *
 * The MPD is static, of the isoff-live profile, with a SegmentTimeline that holds the playlists'
 * own durations. Renditions whose segments start at the same times share an AdaptationSet, so that
 * players switch between them; the others (`original` keeps its own keyframes) get one each. A
 * rendition without `segments` is on the server from an earlier job, cut at times that are not
 * known here: the master names it, the MPD cannot. */
#ifndef AGENT_MANIFEST_H
#define AGENT_MANIFEST_H

#include "agent/media/audio.h"
#include "agent/media/codecs.h"
#include "agent/media/rates.h"
#include "base/playlist.h"

#include "tailslate/quality.h"

struct manifest_rendition {
    enum tailslate_quality quality;
    int64_t width, height;           /* as displayed */
    int64_t peak_bps, average_bps;   /* of whole segments, sound included */
    struct rates video;              /* of video.m3u8, pictures alone; 0: there is none */
    char codecs[CODECS_BYTES];       /* "" = unknown, left out */
    double frame_rate;               /* 0 = unknown, left out */
    const char *video_range;         /* "PQ", "HLG"; NULL = SDR or unknown, left out */
    bool is_flat;                    /* <quality>.m3u8, an older layout */
    int64_t start_us;                /* the first picture's time in the segments */
    const struct playlist *segments; /* borrowed; NULL: see above */
};

/* A choice of sound, in files of its own. */
struct manifest_audio {
    const struct audio_track *track; /* borrowed */
    enum tailslate_quality home;
    size_t number; /* of its files in home's directory */
    int64_t peak_bps, average_bps;
};

/* Can the sound be chosen? Only if every rendition has its pictures by themselves: what is on the
 * server from an earlier job may not. */
bool manifest_has_choice(const struct manifest_rendition *renditions, size_t count,
                         size_t audio_count);

/* Both are owned by the caller. renditions are in the order in which players shall see them. */
char *manifest_master(const struct manifest_rendition *renditions, size_t count,
                      const struct manifest_audio *audio, size_t audio_count);
/* NULL: no rendition has segments. */
char *manifest_mpd(const struct manifest_rendition *renditions, size_t count);

#endif
