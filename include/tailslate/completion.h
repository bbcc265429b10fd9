/* completion: the report that a job is done, and the answer to it. Pure.
 *
 * A parse function takes one body and fills a struct; the verdict is PROBLEM_NONE or the problem to
 * answer with, and then `reason` (which may be NULL) says which field and what was expected.
 * Unknown members are ignored, JSON null is the same as absent. A format function returns text
 * owned by the caller. */
#ifndef TAILSLATE_COMPLETION_H
#define TAILSLATE_COMPLETION_H

#include "tailslate/problem.h"
#include "tailslate/quality.h"
#include "tailslate/token.h"
#include "tailslate/warnings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    COMPLETION_TIME_BYTES = 40, /* of a time: ISO 8601, UTC, microseconds */
    COMPLETION_REASON_BYTES = 512,
    FINGERPRINT_BYTES = 65, /* SHA-256, lower-case hexadecimal */
    SIDE_MAX = 65535,       /* of a width or height, in pixels */
};

/* Not in the message. Numbers that may be absent start as these. */
#define ABSENT_INT    (-1)
#define ABSENT_NUMBER (-1.0)

/* POST /api/worker/{job_id}/complete, the request. */
struct message_rendition {
    enum quality quality;
    int64_t width, height, bitrate_kbit;
};
enum streaming_format { FORMAT_ABSENT, FORMAT_CMAF, FORMAT_HLS_TS };
enum streaming_codec { CODEC_ABSENT, CODEC_H264, CODEC_HEVC, CODEC_AV1 };
const char *streaming_format_name(enum streaming_format format); /* NULL for ABSENT */
const char *streaming_codec_name(enum streaming_codec codec);    /* NULL for ABSENT */

struct message_completion {
    struct message_rendition renditions[QUALITY_COUNT];
    size_t rendition_count; /* may be 0: the caller decides whether that is allowed */
    double duration;        /* seconds, ABSENT_NUMBER */
    int64_t source_width, source_height;
    enum streaming_format format;
    enum streaming_codec codec;
    char token[TOKEN_BYTES];  /* canonical; "" = none */
    struct warnings warnings; /* ours; a stock server ignores the member */
};
/* PROBLEM_BAD_JSON, _INVALID_FIELD, _TOKEN_MALFORMED, or _TOKEN_MISMATCH where the token's job is
 * not path_job_id. */
enum problem message_completion_parse(const char *body, size_t size, int64_t path_job_id,
                                      struct message_completion *completion,
                                      char reason[COMPLETION_REASON_BYTES]);
char *message_completion_format(const struct message_completion *completion);
/* SHA-256 over the canonical form: fixed order, qualities by name, numbers normalised, no token, no
 * warnings. */
void message_completion_fingerprint(const struct message_completion *completion,
                                    char hex[FINGERPRINT_BYTES]);
quality_set message_completion_qualities(const struct message_completion *completion);

/* The answer to a completion. An answer of a stock server has no token: "" then. */
struct message_acknowledgement {
    bool status_ok;
    char message[128];
    char token[TOKEN_BYTES];
    int64_t job_id; /* ABSENT_INT */
    bool replayed, late;
    char completed_at[COMPLETION_TIME_BYTES]; /* "" if absent */
};
enum problem message_acknowledgement_parse(const char *body, size_t size,
                                           struct message_acknowledgement *answer,
                                           char reason[COMPLETION_REASON_BYTES]);
char *message_acknowledgement_format(const struct message_acknowledgement *answer);

#endif
