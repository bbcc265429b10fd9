#include "agent/step/outcome.h"

#include "agent/step/fetch.h"
#include "base/clock.h"
#include "base/log.h"
#include "lib/uuid.h"

#include "tailslate/backoff.h"

#include <errno.h>

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

int outcome_commit(struct session *session, const struct record_outcome *outcome, struct error *err)
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
