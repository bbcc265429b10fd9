/* check: did the transcoder make what was requested? An exit status of 0 is not enough.
 *
 * For each rendition: its playlist is complete and ended, every file that it names exists and is
 * not empty, ffprobe opens it with the planned size, and its duration is that of the source (within
 * 1 % or 0.5 s, whichever is larger). `original` must also be playable as listed (check_original.h)
 * and is left out if it is not, because the other renditions are what viewers need. Also measures
 * what the manifests state. Only reads; an error is err TEMPORARY with a reason that a person
 * understands
 * ("720p is 20.1 s long, but the source is 60.0 s long"). */
#ifndef AGENT_CHECK_H
#define AGENT_CHECK_H

#include "agent/media/ladder.h"
#include "agent/media/manifest.h"
#include "agent/media/measure.h"
#include "base/message.h"

struct check_rendition {
    struct ladder_rendition plan;
    struct playlist playlist;
    struct codecs codecs;
    int64_t *bytes; /* one per segment; owned */
    struct rates rates;
    struct rates video_rates; /* of the video alone; 0: it has no playlist of its own */
    double frame_rate;
    enum probe_range range;
    int64_t start_us;
};

struct check {
    struct check_rendition renditions[TAILSLATE_QUALITY_COUNT];
    size_t count;
    struct manifest_audio audio[AUDIO_PUBLISHED_MAX]; /* their tracks are borrowed from the probe */
    size_t audio_count;                               /* 0: there is no choice */
    int64_t target_s;                                 /* EXT-X-TARGETDURATION for all playlists */
    bool is_without_original;
    struct error why; /* `original` was made but cannot be published */
};

/* output: the directory with one directory per rendition. On -1 *check is empty. */
struct session;
int check_output(struct session *session, int output, const struct probe *source,
                 const struct ladder *ladder, struct check *check, struct error *err);
void check_fini(struct check *check);
void check_rendition_fini(struct check_rendition *rendition);

/* The parts that run no program. */
int check_duration(enum tailslate_quality quality, double got_s, double source_s,
                   struct error *err);
int check_files(int directory, struct check_rendition *rendition, struct error *err);

/* Sets check->audio: the tracks whose own files are complete. Removes the playlists of the others,
 * with a warning. A single track is not a choice. */
void check_audio(int output, const struct probe *source, const struct ladder *ladder,
                 struct check *check, struct tailslate_warnings *warnings);

/* Call after both: bit rates under the common target duration. */
void check_measure_together(struct check *check);
void check_raise_target(struct check *check, const struct playlist *playlist);

#endif
