#include "agent/step/pipeline_source.h"

#include "agent/media/ladder.h"
#include "agent/step/fetch.h"
#include "agent/step/transcode.h"
#include "base/log.h"
#include "lib/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* ---- the thumbnail --------------------------------------------------------------------------- */

enum { LIMIT_MS = 120 * 1000, PERCENT = 10 };

static int run(const struct thumbnail *thumbnail, struct argv *argv, struct error *err)
{
    int result = transcode_run_short(thumbnail->session, argv, LIMIT_MS, err);
    argv_fini(argv);
    return result;
}

static int take(const struct thumbnail *thumbnail, double at_s, struct error *err)
{
    struct argv argv = {0};
    ladder_thumbnail_argv(thumbnail->source, thumbnail->session->config, thumbnail->use, at_s,
                          FETCH_SOURCE, RECORD_OUTPUT, &argv);
    int result = run(thumbnail, &argv, err);
    if (result == 0 && !durable_exists(thumbnail->output, LADDER_THUMBNAIL))
        return error_set(err, ERROR_TEMPORARY, 0, "no video frame at %.1f s", at_s);
    return result;
}

/* The thumbnail may have failed in its filters. */
static int test_decode(const struct thumbnail *thumbnail, struct error *err)
{
    struct argv argv = {0};
    struct error why;
    ladder_first_frame_argv(thumbnail->source, thumbnail->session->config, FETCH_SOURCE,
                            RECORD_OUTPUT, &argv);
    error_set(&why, ERROR_TEMPORARY, 0, "ffmpeg found no frame");
    int result = run(thumbnail, &argv, &why);
    bool is_there = unlinkat(thumbnail->output, LADDER_FIRST_FRAME, 0) == 0;
    /* A code means this node, the time or the claim; it says nothing about the frames. */
    if ((result == 0 && is_there) || why.code != 0)
        return 0;
    return error_set(err, ERROR_PERMANENT, 0, "no frame of the video can be decoded: %s",
                     why.message);
}

int pipeline_thumbnail(const struct thumbnail *thumbnail, struct error *err)
{
    if (durable_exists(thumbnail->output, LADDER_THUMBNAIL))
        return 0;
    session_report(thumbnail->session, WORK_THUMBNAIL, PERCENT);
    if (take(thumbnail, thumbnail->source->video_s / 10, err) == 0 || take(thumbnail, 0, err) == 0)
        return 0;
    if (err->code == ECANCELED || err->code == ENOSPC)
        return -1;
    log_warning("step.thumbnail_missing", LOG_TEXT("reason", err->message));
    return thumbnail->must_decode ? test_decode(thumbnail, err) : 0;
}

/* ---- the copy -------------------------------------------------------------------------------- */

static bool is_wanted(const struct session *session, const struct probe *source)
{
    const struct message_claim *claim = &session->claim.claim;
    struct ladder ladder;
    ladder_plan(source, session->config, claim->existing_known ? claim->existing : 0, &ladder);
    return ladder.made & 1u << TAILSLATE_QUALITY_ORIGINAL;
}

int pipeline_test_copy(struct session *session, const char *path, struct probe *source,
                       struct tailslate_warnings *warnings, struct error *err)
{
    struct argv argv = {0};
    if (!is_wanted(session, source))
        return 0;
    ladder_copy_test_argv(source, session->config, path, &argv);
    int result = transcode_run_short(session, &argv, COPY_TEST_LIMIT_MS, err);
    argv_fini(&argv);
    if (result == 0)
        return 0;
    if (err->code == ECANCELED)
        return -1;
    source->uncopyable = true;
    tailslate_warnings_add(warnings, "the copy of the source (original) is left out: %s",
                           err->message);
    return 0;
}
