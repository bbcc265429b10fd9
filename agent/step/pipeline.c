#include "agent/step/pipeline.h"

#include "agent/base/tree.h"
#include "agent/media/check.h"
#include "agent/media/source.h"
#include "agent/step/command.h"
#include "agent/step/fetch.h"
#include "agent/step/pipeline_check.h"
#include "agent/step/pipeline_encoder.h"
#include "agent/step/pipeline_manifest.h"
#include "agent/step/pipeline_source.h"
#include "agent/step/transcode.h"
#include "agent/step/upload.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "lib/cleanup.h"
#include "lib/durable.h"
#include "lib/uuid.h"

#include "tailslate/backoff.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct pipeline {
    struct session *session;
    struct probe source;
    struct scan scan;
    struct ladder ladder;
    struct encoder_use use;
    struct check check;
    struct upload upload;
    struct tailslate_completion said; /* from a command's result.json */
    struct tailslate_warnings warnings;
    int64_t started_ms;
};

static tailslate_quality_set existing_of(const struct session *session)
{
    const struct message_claim *claim = &session->claim.claim;
    return claim->existing_known ? claim->existing : 0;
}

static bool is_command(const struct session *session)
{
    return strcmp(session->config->transcode.recipe, "command") == 0;
}

/* ---- before ---------------------------------------------------------------------------------- */

static int check_source(struct pipeline *pipeline, struct error *err)
{
    struct session *session = pipeline->session;
    if (fetch_source(session, err) < 0)
        return -1;
    crash_point(CRASH_STEP_SOURCE_FETCHED);
    session_report(session, WORK_PROBE, 10);
    if (source_examine(session, FETCH_SOURCE, &pipeline->source, &pipeline->scan,
                       &pipeline->warnings, err) < 0)
        return -1;
    if (!is_command(session) && (source_choose_audio(session, FETCH_SOURCE, &pipeline->source,
                                                     &pipeline->warnings, err) < 0 ||
                                 pipeline_test_copy(session, FETCH_SOURCE, &pipeline->source,
                                                    &pipeline->warnings, err) < 0))
        return -1;
    source_settle(&pipeline->source, &pipeline->scan);
    struct message_progress *progress = &session->progress.progress;
    progress->duration = pipeline->source.duration_s;
    progress->source_width = pipeline->source.width;
    progress->source_height = pipeline->source.height;
    return 0;
}

static void plan(struct pipeline *pipeline)
{
    struct session *session = pipeline->session;
    ladder_plan(&pipeline->source, session->config, existing_of(session), &pipeline->ladder);
    log_info("step.planned", LOG_INT("duration_ms", pipeline->source.duration_s * 1000),
             LOG_INT("width", pipeline->source.width), LOG_INT("height", pipeline->source.height),
             LOG_INT("renditions", pipeline->ladder.count),
             LOG_TEXT("without_original",
                      pipeline->ladder.without_original ? pipeline->ladder.without_original : ""));
}

/* A command's job uses none of our encoders; its thumbnail only needs a placeholder. */
static int choose_encoder(struct pipeline *pipeline, struct error *err)
{
    pipeline->use = (struct encoder_use){.id = ENCODER_LIBX264};
    if (is_command(pipeline->session) || pipeline->ladder.count == 0)
        return 0;
    return pipeline_encoder_choose(pipeline->session, &pipeline->use, err);
}

static int prepare_output(struct pipeline *pipeline, struct error *err)
{
    int dir = pipeline->session->dir;
    if (durable_remove_tree(dir, RECORD_OUTPUT, err) < 0 ||
        durable_mkdir(dir, RECORD_OUTPUT, 0700, err) < 0 ||
        upload_open(&pipeline->upload, pipeline->session, err) < 0)
        return -1;
    for (size_t i = 0; i < pipeline->ladder.count; i++) {
        const char *name = tailslate_quality_name(pipeline->ladder.renditions[i].quality);
        if (!is_command(pipeline->session) &&
            durable_mkdir(pipeline->upload.output, name, 0700, err) < 0)
            return -1;
    }
    return 0;
}

/* must_decode: by ffmpeg. */
static int thumbnail(struct pipeline *pipeline, bool must_decode, struct error *err)
{
    const struct thumbnail thumbnail = {.session = pipeline->session,
                                        .source = &pipeline->source,
                                        .use = &pipeline->use,
                                        .output = pipeline->upload.output,
                                        .must_decode = must_decode};
    return pipeline_thumbnail(&thumbnail, err);
}

/* ---- the transcoder -------------------------------------------------------------------------- */

static int64_t expected_bytes(const struct pipeline *pipeline, const struct ladder *ladder)
{
    struct stat source = {0};
    fstatat(pipeline->session->dir, FETCH_SOURCE, &source, AT_SYMLINK_NOFOLLOW);
    return ladder_expected_bytes(ladder, &pipeline->source, source.st_size);
}

static int run_ladder(struct pipeline *pipeline, struct error *err)
{
    struct argv argv = {0};
    char quiet[] = ENCODERS_QUIET;
    char *environment[] = {quiet, NULL};
    if (pipeline->ladder.count == 0)
        return 0;
    ladder_argv(&pipeline->ladder, &pipeline->source, pipeline->session->config, &pipeline->use,
                FETCH_SOURCE, RECORD_OUTPUT, &argv);
    struct transcode_job job = {
        .kind = TRANSCODE_LADDER,
        .argv = &argv,
        .environment = environment,
        .duration_s = pipeline->source.duration_s,
        .expected_bytes = expected_bytes(pipeline, &pipeline->ladder),
        .network = encoders_network(pipeline->use.id),
        .made = pipeline->ladder.made,
    };
    int result = transcode_run(pipeline->session, &pipeline->upload, &job, err);
    argv_fini(&argv);
    return result;
}

static int run_command(struct pipeline *pipeline, struct error *err)
{
    struct command command;
    if (command_prepare(pipeline->session, &pipeline->source, &command, err) < 0)
        return -1;
    struct transcode_job job = {
        .kind = TRANSCODE_COMMAND,
        .argv = &command.argv,
        .environment = command.environment.items,
        .duration_s = pipeline->source.duration_s,
        /* Its output is unknown: assume our own ladder. */
        .expected_bytes = expected_bytes(pipeline, &pipeline->ladder),
        .network = pipeline->session->config->transcode.network ? SANDBOX_OPEN : SANDBOX_LOCAL,
    };
    int result = transcode_run(pipeline->session, &pipeline->upload, &job, err);
    command_fini(&command);
    if (result < 0)
        return -1;
    return command_discover(pipeline->session, pipeline->upload.output, &pipeline->ladder,
                            &pipeline->said, err);
}

static int run(struct pipeline *pipeline, struct error *err)
{
    pipeline->started_ms = mono_ms();
    session_report(pipeline->session, WORK_TRANSCODE, 10);
    return is_command(pipeline->session) ? run_command(pipeline, err) : run_ladder(pipeline, err);
}

static int check(struct pipeline *pipeline, struct error *err)
{
    return pipeline_check(pipeline->session, pipeline->upload.output, &pipeline->source,
                          &pipeline->ladder, &pipeline->check, &pipeline->warnings, err);
}

static int write_manifests(struct pipeline *pipeline, struct error *err)
{
    const struct pipeline_manifest job = {.session = pipeline->session,
                                          .source = &pipeline->source,
                                          .check = &pipeline->check,
                                          .existing = existing_of(pipeline->session),
                                          .output = pipeline->upload.output,
                                          .warnings = &pipeline->warnings};
    return pipeline_manifest_write(&job, err);
}

/* ---- the outcome ----------------------------------------------------------------------------- */

/* From here on the work must not be lost (P3), and a single disk error is no reason to lose it. The
 * outcome is a few hundred bytes: it is written again each time, through a new descriptor, after a
 * pause in which the claim is extended. Each attempt first reads what the record says, because a
 * failed attempt may have succeeded (durable.h). On a full disk the source, which is no longer
 * needed, is deleted, and the step waits as long as the claim lasts. Any other error that persists
 * after OUTCOME_TRIES_MAX attempts, about two minutes, means that the disk is lost. */
enum { OUTCOME_TRIES_MAX = 10 };
static const struct tailslate_backoff pauses = {.base_ms = 500, .cap_ms = 60 * 1000};

static int try_once(const struct session *session, const struct record_outcome *outcome,
                    struct error *err)
{
    enum job_state state;
    if (record_state(session->dir, &state, err) < 0)
        return -1;
    return state == JOB_CLAIMED ? record_commit_outcome(session->dir, outcome, err) : 0;
}

/* The claim is extended meanwhile. */
static void pause_until(struct session *session, int64_t until_ms)
{
    int64_t left_ms;
    while (session->lost == TAILSLATE_PROBLEM_NONE && (left_ms = until_ms - mono_ms()) > 0)
        session_wait(session, NULL, 0, left_ms);
}

static bool is_full(const struct error *why)
{
    return why->code == ENOSPC || why->code == EDQUOT;
}

static int commit_outcome(struct session *session, const struct record_outcome *outcome,
                          struct error *err)
{
    struct error why, ignored;
    for (unsigned attempt = 0; try_once(session, outcome, &why) < 0; attempt++) {
        bool is_hopeless = !is_full(&why) && attempt + 1 >= OUTCOME_TRIES_MAX;
        if (is_hopeless || session->lost != TAILSLATE_PROBLEM_NONE) {
            *err = why;
            return -1;
        }
        if (is_full(&why))
            (void)fetch_forget(session->dir, &ignored);
        int64_t delay_ms = tailslate_backoff_delay_ms(pauses, attempt, -1, random_u64());
        log_at(attempt == 0 ? LOG_WARNING : LOG_DEBUG, "step.outcome_not_written",
               LOG_TEXT("reason", why.message), LOG_INT("attempt", attempt + 1),
               LOG_INT("delay_ms", delay_ms));
        pause_until(session, mono_ms() + delay_ms);
    }
    return 0;
}

/* Measured like its files; 0 would mean that there is nothing. */
static int64_t reported_kbit(const struct check_rendition *rendition)
{
    int64_t kbit = (rendition->rates.average_bps + 500) / 1000;
    return kbit > 0 ? kbit : 1;
}

static void describe_outcome(const struct pipeline *pipeline, struct record_outcome *outcome)
{
    struct tailslate_completion *completion = &outcome->completion;
    *outcome = (struct record_outcome){.transcode_ms = mono_ms() - pipeline->started_ms};
    completion->duration = pipeline->source.duration_s;
    completion->source_width = pipeline->source.width;
    completion->source_height = pipeline->source.height;
    completion->format = TAILSLATE_FORMAT_CMAF;
    for (size_t i = 0; i < pipeline->check.count; i++) {
        const struct check_rendition *rendition = &pipeline->check.renditions[i];
        completion->renditions[completion->rendition_count++] = (struct tailslate_rendition){
            .quality = rendition->plan.quality,
            .width = rendition->plan.width,
            .height = rendition->plan.height,
            .bitrate_kbit = reported_kbit(rendition),
        };
        if (completion->codec == TAILSLATE_CODEC_ABSENT)
            completion->codec = rendition->codecs.video;
    }
    if (pipeline->said.codec != TAILSLATE_CODEC_ABSENT)
        completion->codec = pipeline->said.codec;
    completion->warnings = pipeline->warnings;
    for (size_t i = 0; i < pipeline->said.warnings.count; i++)
        tailslate_warnings_add(&completion->warnings, "%s", pipeline->said.warnings.texts[i]);
}

static void log_warnings(const struct tailslate_warnings *warnings)
{
    for (size_t i = 0; i < warnings->count; i++)
        log_warning("step.warning", LOG_TEXT("reason", warnings->texts[i]));
}

static int commit(struct pipeline *pipeline, struct error *err)
{
    struct record_outcome outcome;
    describe_outcome(pipeline, &outcome);
    /* The files are durable before the outcome says that they exist: a power cut must not leave
     * empty files. */
    if (tree_sync(pipeline->upload.output, err) < 0 ||
        commit_outcome(pipeline->session, &outcome, err) < 0)
        return -1;
    pipeline->session->transcoded = true;
    crash_point(CRASH_STEP_OUTCOME_RECORDED);
    log_info("step.outcome", LOG_INT("renditions", outcome.completion.rendition_count),
             LOG_INT("transcode_ms", outcome.transcode_ms));
    log_warnings(&outcome.completion.warnings);
    struct error ignored;
    if (fetch_forget(pipeline->session->dir, &ignored) < 0)
        log_warning("step.source_not_removed", LOG_TEXT("reason", ignored.message));
    return 0;
}

/* With the hardware encoder, and if it fails, once more on the CPU. */
static int make_renditions(struct pipeline *pipeline, struct error *err)
{
    if (run(pipeline, err) == 0 && check(pipeline, err) == 0)
        return 0;
    if (is_command(pipeline->session) || !pipeline_encoder_is_to_blame(&pipeline->use, err))
        return -1;
    struct error why = *err;
    if (pipeline_encoder_fall_back(pipeline->session, why.message, &pipeline->use, err) < 0)
        return -1;
    upload_close(&pipeline->upload);
    if (prepare_output(pipeline, err) < 0)
        return -1;
    return run(pipeline, err) < 0 ? -1 : check(pipeline, err);
}

static int make_checked(struct pipeline *pipeline, struct error *err)
{
    bool first = !is_command(pipeline->session);
    /* A command may make its own thumbnail: then ours is not needed. */
    if (first && thumbnail(pipeline, true, err) < 0)
        return -1;
    if (make_renditions(pipeline, err) < 0)
        return -1;
    if (thumbnail(pipeline, false, err) < 0)
        return -1;
    int result = write_manifests(pipeline, err) < 0 ? -1 : commit(pipeline, err);
    check_fini(&pipeline->check);
    return result;
}

int pipeline_run(struct session *session, struct error *err)
{
    struct pipeline pipeline = {.session = session};
    if (check_source(&pipeline, err) < 0)
        return -1;
    plan(&pipeline);
    if (choose_encoder(&pipeline, err) < 0)
        return -1;
    pipeline.upload.output = pipeline.upload.inotify = pipeline.upload.fd = -1;
    int result = prepare_output(&pipeline, err) < 0 ? -1 : make_checked(&pipeline, err);
    upload_close(&pipeline.upload);
    return result;
}
