#include "agent/step/pipeline_check.h"

#include "agent/api/session.h"
#include "agent/media/probe.h"
#include "agent/media/rewrite.h"
#include "agent/step/fetch.h"
#include "agent/step/transcode.h"
#include "lib/durable.h"

#include <errno.h>
#include <string.h>

enum { PERCENT_CHECK = 90 };

/* Its segments that are already on the server are named by no manifest and no completion. */
static int leave_original_out(int output, const struct check *check, struct ladder *ladder,
                              struct tailslate_warnings *warnings, struct error *err)
{
    tailslate_warnings_add(warnings, "the copy of the source (original) is left out: %s",
                           check->why.message);
    ladder->without_original = "it cannot be published";
    ladder->made &= ~(1u << TAILSLATE_QUALITY_ORIGINAL);
    return durable_remove_tree(output, tailslate_quality_name(TAILSLATE_QUALITY_ORIGINAL), err);
}

/* Without video-only segments, no other audio can be chosen. */
static void separate(int output, struct check *check, struct tailslate_warnings *warnings)
{
    struct error why;
    if (check->audio_count == 0 || rewrite_video_only(output, check, &why) == 0)
        return;
    tailslate_warnings_add(warnings, "alternate audio tracks are left out: %s", why.message);
    check->audio_count = 0;
}

static int settle(int output, struct check *check, struct ladder *ladder,
                  struct tailslate_warnings *warnings, struct error *err)
{
    if (check->is_without_original && leave_original_out(output, check, ladder, warnings, err) < 0)
        return -1;
    check_measure_together(check);
    if (rewrite_target(output, check, err) < 0)
        return -1;
    separate(output, check, warnings);
    return 0;
}

static int settle_commands(const struct check *check, struct error *err)
{
    if (!check->is_without_original)
        return 0;
    *err = check->why;
    return -1;
}

static int check_all(struct session *session, int output, const struct probe *source,
                     struct ladder *ladder, struct check *check,
                     struct tailslate_warnings *warnings, struct error *err)
{
    bool is_command = strcmp(session->config->transcode.recipe, "command") == 0;
    if (check_output(session, output, source, ladder, check, err) < 0)
        return -1;
    check_audio(output, source, ladder, check, warnings);
    int result = is_command ? settle_commands(check, err)
                            : settle(output, check, ladder, warnings, err);
    if (result < 0)
        check_fini(check);
    return result;
}

/* Too short because the source's last frames cannot be decoded? Then no attempt can do better. */
static bool is_undecodable(struct session *session, const struct probe *source, struct error *err)
{
    struct error ignored;
    double decoded_s;
    if (strcmp(session->config->transcode.recipe, "command") == 0 ||
        probe_measure_decoded(session, FETCH_SOURCE, source, &decoded_s, &ignored) < 0 ||
        check_duration(TAILSLATE_QUALITY_ORIGINAL, decoded_s, source->video_s, &ignored) == 0)
        return false;
    error_set(err, ERROR_PERMANENT, 0, "only %.1f s of the video's %.1f s can be decoded",
              decoded_s, source->video_s);
    return true;
}

int pipeline_check(struct session *session, int output, const struct probe *source,
                   struct ladder *ladder, struct check *check, struct tailslate_warnings *warnings,
                   struct error *err)
{
    session_report(session, WORK_MASTER_PLAYLIST, PERCENT_CHECK);
    if (check_all(session, output, source, ladder, check, warnings, err) == 0)
        return 0;
    if (err->code == ECANCELED)
        return -1;
    if (transcode_log_says_full(session->dir))
        return error_set(err, ERROR_TEMPORARY, ENOSPC, "no space left on this node's disk");
    if (is_undecodable(session, source, err))
        return -1;
    /* Once may have been an accident; twice is this video. */
    if (session->claim.claim.attempt_number > 1)
        error_set(err, ERROR_PERMANENT, 0, "%s", err->message);
    return -1;
}
