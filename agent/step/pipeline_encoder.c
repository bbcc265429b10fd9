#include "agent/step/pipeline_encoder.h"

#include "agent/media/encoders_file.h"
#include "base/log.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static int open_state(const struct session *session, struct error *err)
{
    const char *path = session->config->node.state_dir;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? error_errno(err, "%s", path) : fd;
}

static int none(const struct config *config, const struct encoders *found, struct error *err)
{
    enum tailslate_codec codec = encoder_wanted_codec(config->transcode.codec);
    enum encoder_id cpu = encoder_pick(codec, "cpu", ENCODERS_ALL);
    return error_set(err, ERROR_TEMPORARY, 0, "no encoder for %s works on this node (%s: %s)",
                     tailslate_codec_name(codec), encoder_name(cpu), found->reasons[cpu]);
}

static int choose(const struct config *config, enum encoder_id failed, int state,
                  struct encoder_use *use, struct error *err)
{
    struct encoders found;
    struct error ignored;
    encoder_set avoided = failed == ENCODER_COUNT ? 0 : encoder_set_of_kind(encoder_kind(failed));
    bool is_told = encoders_load(state, config, &found, &ignored) == 0;
    if (is_told)
        *use = encoders_choose(config, &found, failed);
    bool is_enough = is_told && (use->id != ENCODER_COUNT || !found.is_incomplete);
    if (!is_enough && encoders_probe_for_job(config, avoided, &found, err) < 0) {
        err->class = ERROR_TEMPORARY; /* a fault of this node's ffmpeg, not of the video */
        return -1;
    }
    *use = encoders_choose(config, &found, failed);
    return use->id == ENCODER_COUNT ? none(config, &found, err) : 0;
}

int pipeline_encoder_choose(const struct session *session, struct encoder_use *use,
                            struct error *err)
{
    char reason[ENCODERS_REASON_BYTES];
    FD(state) = open_state(session, err);
    if (state < 0)
        return -1;
    enum encoder_id failed = encoders_failed_lately(state, reason);
    if (choose(session->config, failed, state, use, err) < 0)
        return -1;
    log_info("step.encoder", LOG_TEXT("encoder", encoder_name(use->id)),
             LOG_TEXT("avoided", failed == ENCODER_COUNT ? "" : encoder_name(failed)));
    return 0;
}

bool pipeline_encoder_is_to_blame(const struct encoder_use *use, const struct error *why)
{
    if (encoder_kind(use->id) == ENCODER_CPU)
        return false;
    switch (why->code) {
    case ECANCELED: /* the claim */
    case ENOSPC:
    case ENOMEM: /* limits */
    case EFBIG:
    case ETIME:
        return false;
    default:
        return true;
    }
}

int pipeline_encoder_fall_back(const struct session *session, const char *why,
                               struct encoder_use *use, struct error *err)
{
    enum encoder_id failed = use->id;
    struct error ignored;
    struct config config = *session->config;
    snprintf(config.transcode.encoder, sizeof config.transcode.encoder, "%s",
             encoder_kind_name(ENCODER_CPU));
    FD(state) = open_state(session, err);
    if (state < 0 || choose(&config, failed, state, use, err) < 0)
        return -1;
    if (encoders_note_failure(state, failed, why, &ignored) < 0)
        log_warning("step.encoder_failure_not_recorded", LOG_TEXT("reason", ignored.message));
    log_warning("step.encoder_failed", LOG_TEXT("encoder", encoder_name(failed)),
                LOG_TEXT("fallback", encoder_name(use->id)), LOG_TEXT("reason", why));
    return 0;
}
