/* store_operator: what an operator does to jobs, and what is shown of them. */
#ifndef VERIFIER_STORE_OPERATOR_H
#define VERIFIER_STORE_OPERATOR_H

#include "verifier/store/store_job.h"

struct store_new_job {
    const char *slug;  /* NULL: from the title, with a number behind it where it is taken */
    const char *title; /* NULL: base */
    const char *base;  /* the source's name without directory and extension */
    int64_t priority;
    /* Put the source in its place, inside the transaction. */
    int (*place)(void *ctx, int64_t video_id, struct error *err);
    void *ctx;
    int64_t job_id, video_id;     /* out */
    char chosen_slug[SLUG_BYTES]; /* out */
};
/* Not into a stock server's tables: -1, with a sentence for the operator. */
int store_job_may_be_added(const struct store *store, struct error *err);
/* err->code DB_CONFLICT: the slug that was asked for is taken, by a video or by a directory that
 * one has left behind: old output never becomes part of another video. */
int store_job_add(struct store *store, struct store_new_job *job, struct error *err);
/* The jobs that are claimed, the claim that ends first at the top. *jobs is owned. */
int store_jobs_running(struct store *store, struct store_job **jobs, size_t *count,
                       struct error *err);
enum store_release {
    STORE_RELEASED,
    STORE_RELEASE_NO_JOB,
    STORE_RELEASE_COMPLETED,
    STORE_RELEASE_UNCLAIMED
};
int store_job_release(struct store *store, int64_t job_id, enum store_release *result,
                      struct error *err);

struct store_rendition {
    enum tailslate_quality quality;
    int64_t width, height, bitrate;
};
struct store_details {
    bool found;
    struct store_job job;
    struct store_rendition renditions[TAILSLATE_QUALITY_COUNT];
    size_t rendition_count;
    struct message_quality_progress progress[TAILSLATE_QUALITY_COUNT];
    size_t progress_count;
    bool completed; /* a completions row: */
    char token[TAILSLATE_TOKEN_BYTES], worker_id[WORKER_ID_BYTES], committed_at[WALL_TEXT_BYTES];
    int64_t claim_epoch, replays;
    bool late;
    struct tailslate_warnings warnings;
};
int store_job_details(struct store *store, int64_t job_id, struct store_details *details,
                      struct error *err);

/* How many jobs are open and unclaimed, claimed, completed, failed for good. */
struct store_counts {
    int64_t pending, processing, completed, failed;
};
int store_count(struct store *store, struct store_counts *counts, struct error *err);

#endif
