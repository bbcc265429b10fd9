/* encoders_file: what is known about this node's encoders, in state_dir.
 *
 * The results of the test encodes are keyed by ffmpeg's file, the devices and this boot. A hardware
 * encoder that failed a real job is not used for ENCODERS_PAUSE_MS; that is recorded, too. */
#ifndef AGENT_ENCODERS_FILE_H
#define AGENT_ENCODERS_FILE_H

#include "agent/media/encoders.h"

enum { ENCODERS_PAUSE_MS = 10 * 60 * 1000, ENCODERS_FILE_MAX_BYTES = 64 * 1024 };
#define ENCODERS_FILE "encoders.json"
#define ENCODERS_BAD  "encoder_failed.json"

/* A hash of ffmpeg's file, the devices and this boot: the results are valid while it is unchanged.
 */
void encoders_key(const struct config *config, char key[HASH_HEX_BYTES]);

/* -1: there are none, or they are no longer valid (err->code ENOENT). */
int encoders_load(int state_dir, const struct config *config, struct encoders *found,
                  struct error *err);
int encoders_save(int state_dir, const struct encoders *found, struct error *err);

/* A hardware encoder failed a job. */
int encoders_note_failure(int state_dir, enum encoder_id id, const char *reason, struct error *err);
/* ENCODER_COUNT: none failed recently. */
enum encoder_id encoders_failed_lately(int state_dir, char reason[ENCODERS_REASON_BYTES]);

#endif
