/* completion: the report that a job is done, and the answer to it. Pure.
 *
 * A parse function reads one body and fills a struct; its verdict is TAILSLATE_PROBLEM_NONE or the
 * problem to answer with, and then `reason` (which may be NULL) says which field and what was
 * expected. Unknown members are ignored, JSON null is the same as absent. A format function returns
 * text owned by the caller. */
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
    TAILSLATE_TIME_BYTES = 40, /* of a time: ISO 8601, UTC, microseconds */
    TAILSLATE_REASON_BYTES = 512,
    TAILSLATE_FINGERPRINT_BYTES = 65, /* SHA-256, lower-case hexadecimal */
    TAILSLATE_SIDE_MAX = 65535,       /* of a width or height, in pixels */
};

/* Values for absent members. */
#define TAILSLATE_ABSENT_INT    (-1)
#define TAILSLATE_ABSENT_NUMBER (-1.0)

/* POST /api/worker/{job_id}/complete, the request. */
struct tailslate_rendition {
    enum tailslate_quality quality;
    int64_t width, height, bitrate_kbit;
};
enum tailslate_format { TAILSLATE_FORMAT_ABSENT, TAILSLATE_FORMAT_CMAF, TAILSLATE_FORMAT_HLS_TS };
enum tailslate_codec {
    TAILSLATE_CODEC_ABSENT,
    TAILSLATE_CODEC_H264,
    TAILSLATE_CODEC_HEVC,
    TAILSLATE_CODEC_AV1
};
const char *tailslate_format_name(enum tailslate_format format); /* NULL for ABSENT */
const char *tailslate_codec_name(enum tailslate_codec codec);    /* NULL for ABSENT */

struct tailslate_completion {
    struct tailslate_rendition renditions[TAILSLATE_QUALITY_COUNT];
    size_t rendition_count; /* may be 0: the caller decides whether that is allowed */
    double duration;        /* seconds, TAILSLATE_ABSENT_NUMBER */
    int64_t source_width, source_height;
    enum tailslate_format format;
    enum tailslate_codec codec;
    char token[TAILSLATE_TOKEN_BYTES];  /* canonical; "" = none */
    struct tailslate_warnings warnings; /* our extension; a stock server ignores it */
};
/* TAILSLATE_PROBLEM_BAD_JSON, _INVALID_FIELD, _TOKEN_MALFORMED, or _TOKEN_MISMATCH if the token's
 * job is not path_job_id. */
enum tailslate_problem tailslate_completion_parse(const char *body, size_t size,
                                                  int64_t path_job_id,
                                                  struct tailslate_completion *completion,
                                                  char reason[TAILSLATE_REASON_BYTES]);
char *tailslate_completion_format(const struct tailslate_completion *completion);
/* SHA-256 over the canonical form: fixed order, qualities by name, normalized numbers, no token, no
 * warnings. */
void tailslate_completion_fingerprint(const struct tailslate_completion *completion,
                                      char hex[TAILSLATE_FINGERPRINT_BYTES]);
tailslate_quality_set tailslate_completion_qualities(const struct tailslate_completion *completion);

/* The answer to a completion. A stock server's answer has no token: then it is "". */
struct tailslate_acknowledgment {
    bool status_ok;
    char message[128];
    char token[TAILSLATE_TOKEN_BYTES];
    int64_t job_id; /* TAILSLATE_ABSENT_INT */
    bool replayed, late;
    char completed_at[TAILSLATE_TIME_BYTES]; /* "" if absent */
};
enum tailslate_problem tailslate_acknowledgment_parse(const char *body, size_t size,
                                                      struct tailslate_acknowledgment *answer,
                                                      char reason[TAILSLATE_REASON_BYTES]);
char *tailslate_acknowledgment_format(const struct tailslate_acknowledgment *answer);

#endif
