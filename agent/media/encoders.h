/* encoders: what this node can really do: a test encode with each encoder that ffmpeg lists.
 *
 * A list says what was compiled in; whether a driver, a device and its permissions are there shows
 * only when it is used. So a second of a test picture goes through the very words that the ladder
 * uses, and the result is looked at: the codec, and the keyframes where they were asked for. Each
 * encode has a time limit, all of them together another, and ends as a group.
 *
 * The findings are kept in state_dir, keyed by ffmpeg's file, the devices and this boot. One
 * process at a time makes them: the agent's child (`tailslate-agent trial`); a step that finds none
 * tries for itself what it needs. A hardware encoder that failed in a real job is left alone for
 * ENCODERS_PAUSE_MS, on disk too. */
#ifndef AGENT_ENCODERS_H
#define AGENT_ENCODERS_H

#include "agent/base/config.h"
#include "agent/base/sandbox.h"
#include "agent/base/tool.h"
#include "agent/media/codecs.h"
#include "agent/media/encoder.h"
#include "lib/error.h"
#include "lib/hash.h"

enum {
    ENCODERS_REASON_BYTES = 200,
    ENCODERS_GPU_BYTES = 96,
    ENCODERS_SOON_MS = 4 * 1000, /* of one test encode, where a person waits */
    ENCODERS_SOON_ALL_MS = 9 * 1000,
    ENCODERS_LATE_MS = 30 * 1000, /* in the background, on a node that is busy */
    ENCODERS_LATE_ALL_MS = 120 * 1000,
    ENCODERS_PAUSE_MS = 10 * 60 * 1000,
    ENCODERS_FILE_MAX_BYTES = 64 * 1024,
};
#define ENCODERS_FILE  "encoders.json"
#define ENCODERS_BAD   "encoder_failed.json"
#define ENCODERS_QUIET "SVT_LOG=1" /* in ffmpeg's environment: SVT-AV1 says only what is wrong */

struct encoders {
    char version[TOOL_VERSION_BYTES]; /* of ffmpeg */
    encoder_set working;
    char reasons[ENCODER_COUNT][ENCODERS_REASON_BYTES]; /* why not */
    char device[ENCODER_DEVICE_BYTES];                  /* the render node; "" = there is none */
    char gpu[ENCODERS_GPU_BYTES];                       /* its name; "" = unknown */
    char driver[TOOL_VERSION_BYTES];                    /* NVIDIA's; "" = unknown */
    bool can_tone_map;
    bool is_incomplete;       /* the time was over for some: a busy node is no broken one */
    char key[HASH_HEX_BYTES]; /* of what the findings hold for */
};

/* All of them. -1: ffmpeg itself cannot be asked. */
#define ENCODERS_ALL ((1u << ENCODER_COUNT) - 1)
enum encoders_patience { ENCODERS_SOON, ENCODERS_LATE };
int encoders_try(const struct config *config, enum encoders_patience patience,
                 struct encoders *found, struct error *err);
/* Until one works, in the order of their preference: what a job needs and no more. */
int encoders_try_for_job(const struct config *config, encoder_set avoided, struct encoders *found,
                         struct error *err);
/* The first line of ffmpeg's log that says something, without its address. */
void encoders_explain(const char *log, char reason[ENCODERS_REASON_BYTES]);

/* How much of a sandbox it bears. */
enum sandbox_network encoders_network(enum encoder_id id);

/* Of ffmpeg's file, the devices and this boot: what must not have changed. */
void encoders_key(const struct config *config, char key[HASH_HEX_BYTES]);

/* -1: none are there, or they hold no longer (err->code ENOENT). */
int encoders_load(int state_dir, const struct config *config, struct encoders *found,
                  struct error *err);
int encoders_save(int state_dir, const struct encoders *found, struct error *err);

/* A hardware encoder let a job down. */
int encoders_note_failure(int state_dir, enum encoder_id id, const char *reason, struct error *err);
/* ENCODER_COUNT: none did of late. */
enum encoder_id encoders_failed_lately(int state_dir, char reason[ENCODERS_REASON_BYTES]);

/* By configuration, findings and late failures. ENCODER_COUNT as id: none works. */
struct encoder_use encoders_choose(const struct config *config, const struct encoders *found,
                                   enum encoder_id failed);

#endif
