/* fixture: a claim and an outcome that are in order, and a spool to put them into. */
#ifndef UNIT_AGENT_FIXTURE_H
#define UNIT_AGENT_FIXTURE_H

#include "../base/scratch.h"
#include "agent/spool/spool.h"

#include <stdio.h>

#define FIXTURE_UUID "4f9c1b7e-8a51-4d0c-9b6e-2f7a3c5d1e90"
#define FIXTURE_NEXT "9a1d4c22-0b7f-4f3e-8c55-6de0f1a2b3c4"

static inline struct record_claim fixture_claim(int64_t job_id, const char *uuid)
{
    struct record_claim claim = {
        .claim = {.job_id = job_id,
                  .video_id = 3,
                  .video_slug = "a-film",
                  .source_filename = "3.mp4",
                  .duration = 12.5,
                  .source_width = 1280,
                  .source_height = 720,
                  .claim_expires_at = "2026-01-03T16:28:00.000000+00:00",
                  .claim_epoch = 4,
                  .attempt_number = 1},
        .claimed_at_us = INT64_C(1767457680000000),
    };
    tailslate_token_make(job_id, uuid, claim.token);
    return claim;
}

static inline struct record_outcome fixture_outcome(void)
{
    return (struct record_outcome){
        .completion = {.renditions = {{TAILSLATE_QUALITY_720P, 1280, 720, 2500}},
                       .rendition_count = 1,
                       .duration = 12.5,
                       .source_width = 1280,
                       .source_height = 720,
                       .format = TAILSLATE_FORMAT_CMAF,
                       .codec = TAILSLATE_CODEC_H264},
        .transcode_ms = 4321,
    };
}

static inline void fixture_spool_close(struct spool *spool)
{
    spool_close(spool);
}

#define SPOOL(name, scratch)                                                                       \
    CLEANUP(fixture_spool_close) struct spool name;                                                \
    do {                                                                                           \
        struct error spool_error;                                                                  \
        cr_assert_eq(spool_open((scratch).path, SPOOL_OWN, &name, &spool_error), 0, "%s",          \
                     spool_error.message);                                                         \
    } while (0)

#define OK(call, err) cr_assert_eq((call), 0, "%s", (err).message)

static inline void fixture_write(int dir, const char *name, const char *text)
{
    FD(fd) = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

#endif
