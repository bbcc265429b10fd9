/* encoders: what this node can really encode: a test encode with each encoder that ffmpeg lists.
 *
 * The list only says what was compiled in; whether the driver, a device and its permissions are
 * there shows only when the encoder is used. So one second of a test pattern is encoded with the
 * ladder's own options, and the result is checked: the codec, and keyframes where they were
 * requested. Each encode has a time limit, all of them together have another, and each is ended
 * with its process group.
 *
 * The results are stored (encoders_file.h) by one process at a time, the agent's child
 * (`tailslate-agent probe-encoders`). A step that finds no results probes what it needs itself. */
#ifndef AGENT_ENCODERS_H
#define AGENT_ENCODERS_H

#include "agent/base/config.h"
#include "agent/base/sandbox.h"
#include "agent/base/tool.h"
#include "agent/media/encoder.h"
#include "agent/media/measure.h"
#include "lib/error.h"
#include "lib/hash.h"

enum {
    ENCODERS_REASON_BYTES = 200,
    ENCODERS_GPU_BYTES = 96,
    ENCODERS_SOON_MS = 4 * 1000, /* for one test encode while a person waits */
    ENCODERS_SOON_ALL_MS = 9 * 1000,
    ENCODERS_LATE_MS = 30 * 1000, /* in the background, on a busy node */
    ENCODERS_LATE_ALL_MS = 120 * 1000,
};
#define ENCODERS_QUIET "SVT_LOG=1" /* in ffmpeg's environment: SVT-AV1 prints errors only */

struct encoders {
    char version[TOOL_VERSION_BYTES]; /* of ffmpeg */
    encoder_set working;
    char reasons[ENCODER_COUNT][ENCODERS_REASON_BYTES]; /* why it is not usable */
    char device[ENCODER_DEVICE_BYTES];                  /* the render node; "" = none */
    char gpu[ENCODERS_GPU_BYTES];                       /* its name; "" = unknown */
    char driver[TOOL_VERSION_BYTES];                    /* NVIDIA's; "" = unknown */
    bool can_tone_map;
    bool is_incomplete; /* some were not probed for lack of time: a busy node, not a broken one */
    char key[HASH_HEX_BYTES]; /* of everything that the results depend on */
};

/* All encoders. -1: ffmpeg itself does not work. */
#define ENCODERS_ALL ((1u << ENCODER_COUNT) - 1)
enum encoders_patience { ENCODERS_SOON, ENCODERS_LATE };
int encoders_probe(const struct config *config, enum encoders_patience patience,
                   struct encoders *found, struct error *err);
/* In order of preference, until one works: what a job needs and no more. */
int encoders_probe_for_job(const struct config *config, encoder_set avoided, struct encoders *found,
                           struct error *err);
/* The first informative line of ffmpeg's log, without its address. */
void encoders_explain(const char *log, char reason[ENCODERS_REASON_BYTES]);

/* How strict a sandbox it can run in. */
enum sandbox_network encoders_network(enum encoder_id id);

/* By configuration, results and recent failures. ENCODER_COUNT as id: none works. */
struct encoder_use encoders_choose(const struct config *config, const struct encoders *found,
                                   enum encoder_id failed);

#endif
