#include "agent/step/copy_trial.h"

#include "agent/media/ladder.h"
#include "agent/step/transcode.h"

#include <errno.h>

static bool is_wanted(const struct session *session, const struct probe *source)
{
    const struct message_claim *claim = &session->claim.claim;
    struct ladder ladder;
    ladder_plan(source, session->config, claim->existing_known ? claim->existing : 0, &ladder);
    return ladder.made & 1u << TAILSLATE_QUALITY_ORIGINAL;
}

int copy_trial(struct session *session, const char *path, struct probe *source,
               struct tailslate_warnings *warnings, struct error *err)
{
    struct argv argv = {0};
    if (!is_wanted(session, source))
        return 0;
    ladder_copy_trial_argv(source, session->config, path, &argv);
    int result = transcode_run_short(session, &argv, COPY_TRIAL_LIMIT_MS, err);
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
