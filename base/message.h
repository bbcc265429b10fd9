/* message: the bodies of the worker API (docs/WIRE.md), shared by both sides. Pure.
 *
 * A parse function reads one body and fills a struct; its verdict is TAILSLATE_PROBLEM_NONE or the
 * problem to answer with, and then *err says which field and what was expected. Unknown members are
 * ignored, JSON null is the same as absent. A format function returns text owned by the caller. */
#ifndef TAILSLATE_MESSAGE_H
#define TAILSLATE_MESSAGE_H

#include "base/clock.h"
#include "base/message_heartbeat.h"
#include "lib/error.h"

#include "tailslate/completion.h"
#include "tailslate/problem.h"
#include "tailslate/quality.h"
#include "tailslate/token.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SLUG_BYTES = 256,
    FILENAME_BYTES = 256,
    WORKER_ID_BYTES = 64,
    REASON_BYTES = 501, /* for error_message, which has at most 500 characters */
};

/* POST /api/worker/claim, the answer. job_id 0: no job. */
struct message_claim {
    int64_t job_id, video_id;
    char video_slug[SLUG_BYTES];
    char source_filename[FILENAME_BYTES];
    double duration; /* TAILSLATE_ABSENT_NUMBER, or 0 if the server does not know yet */
    int64_t source_width, source_height;
    char claim_expires_at[WALL_TEXT_BYTES]; /* as the server wrote it, "" if absent */
    bool existing_known;                    /* existing_qualities was a list, not null */
    tailslate_quality_set existing;
    int64_t claim_epoch;    /* TAILSLATE_ABSENT_INT from a stock server */
    int64_t attempt_number; /* TAILSLATE_ABSENT_INT from a stock server */
    int64_t retranscodes;   /* of the job so far, this claim's included; 0 if absent */
};
enum tailslate_problem message_claim_parse(const char *body, size_t size,
                                           struct message_claim *claim, struct error *err);
char *message_claim_format(const struct message_claim *claim, const char *message);
/* The answer without a job; waiting_reason: why nobody gets one now, "": for no reason. */
char *message_no_job_format(const char *waiting_reason);
void message_no_job_parse(const char *body, size_t size, char *waiting_reason, size_t reason_size);

/* POST /api/worker/{job_id}/fail, request and answer. */
struct message_failure {
    /* error_message. More than 500 characters are refused; more than 500 bytes are truncated (a
     * stock worker truncates by characters, and its report must not be lost because of an umlaut).
     */
    char reason[REASON_BYTES];
    bool retry; /* default true */
};
enum tailslate_problem message_failure_parse(const char *body, size_t size,
                                             struct message_failure *failure, struct error *err);
char *message_failure_format(const struct message_failure *failure);
char *message_failure_answer_format(bool will_retry, int64_t attempt_number);

/* POST /api/worker/{job_id}/progress. */
enum quality_status {
    QUALITY_STATUS_PENDING,
    QUALITY_STATUS_IN_PROGRESS,
    QUALITY_STATUS_UPLOADING,
    QUALITY_STATUS_COMPLETED,
    QUALITY_STATUS_UPLOADED,
    QUALITY_STATUS_FAILED,
    QUALITY_STATUS_SKIPPED,
};
const char *quality_status_name(enum quality_status status);
enum work_step {
    WORK_ABSENT,
    WORK_DOWNLOAD,
    WORK_PROBE,
    WORK_THUMBNAIL,
    WORK_TRANSCODE,
    WORK_MASTER_PLAYLIST,
    WORK_UPLOAD,
    WORK_FINALIZE,
};
const char *work_step_name(enum work_step step); /* NULL for ABSENT */

struct message_quality_progress {
    enum tailslate_quality quality;
    enum quality_status status;
    int64_t percent;
    int64_t segments_total, segments_completed; /* TAILSLATE_ABSENT_INT */
};
struct message_progress {
    enum work_step step;
    int64_t percent; /* 0-100; TAILSLATE_ABSENT_INT */
    struct message_quality_progress qualities[TAILSLATE_QUALITY_COUNT];
    size_t quality_count;
    double duration;
    int64_t source_width, source_height;
};
enum tailslate_problem message_progress_parse(const char *body, size_t size,
                                              struct message_progress *progress, struct error *err);
char *message_progress_format(const struct message_progress *progress);

/* An error body, from our server or any other. */
struct message_problem {
    enum tailslate_problem problem; /* TAILSLATE_PROBLEM_NONE: not one of our codes, or not JSON */
    char detail[256]; /* `detail` if it is a string (or the first message of a stock server's
                         array); otherwise "" */
    tailslate_quality_set missing; /* output_missing: the renditions in member `qualities` */
};
void message_problem_parse(const char *body, size_t size, struct message_problem *problem);
char *message_problem_format(enum tailslate_problem problem, const char *detail,
                             tailslate_quality_set missing);

#endif
