/* check: is what the transcoder left what was asked for? An exit status of 0 is not believed.
 *
 * For each rendition: its playlist is whole and ended, every file it names is there and not empty,
 * ffprobe opens it with the planned size, and it is as long as the source (within 1 % or 0.5 s,
 * the larger). `original` has to be true besides (truth.h), and is left out where it does not fit:
 * the others are what a film needs. Measures on the way what the manifests say. Reads only; what
 * does not fit is err TEMPORARY with a reason that a person understands ("720p is 20.1 s long, the
 * source 60.0 s"). */
#ifndef AGENT_CHECK_H
#define AGENT_CHECK_H

#include "agent/media/ladder.h"
#include "agent/media/manifest.h"
#include "agent/media/rates.h"
#include "base/message.h"

struct check_rendition {
    struct ladder_rendition plan;
    struct playlist playlist;
    struct codecs codecs;
    int64_t *bytes; /* of each segment; owned */
    struct rates rates;
    struct rates video_rates; /* of the pictures alone; 0: they have no playlist of their own */
    double frame_rate;
    enum probe_range range;
    int64_t start_us;
};

struct check {
    struct check_rendition renditions[TAILSLATE_QUALITY_COUNT];
    size_t count;
    struct manifest_audio audio[AUDIO_PUBLISHED_MAX]; /* their tracks are borrowed from the probe */
    size_t audio_count;                               /* 0: there is no choice */
    int64_t target_s; /* what EXT-X-TARGETDURATION has to be in all playlists */
    bool is_without_original;
    struct error why; /* `original` was made and is not fit to be published */
};

/* output: the directory with a directory a rendition. On -1 *check is empty. */
struct session;
int check_output(struct session *session, int output, const struct probe *source,
                 const struct ladder *ladder, struct check *check, struct error *err);
void check_fini(struct check *check);
void check_rendition_fini(struct check_rendition *rendition);

/* The parts that run no program. */
int check_duration(enum tailslate_quality quality, double got_s, double source_s,
                   struct error *err);
int check_files(int directory, struct check_rendition *rendition, struct error *err);

/* Sets check->audio: the tracks with files of their own that are whole. Takes the playlist of the
 * others away and warns. One alone is no choice. */
void check_audio(int output, const struct probe *source, const struct ladder *ladder,
                 struct check *check, struct tailslate_warnings *warnings);

/* After both: the bit rates under the target duration that all of them share. */
void check_measure_together(struct check *check);
void check_raise_target(struct check *check, const struct playlist *playlist);

#endif
