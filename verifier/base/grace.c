#include "verifier/base/grace.h"

#include <stddef.h>

enum grace_gap grace_gap(int64_t now_ms, int64_t alive_at_ms, int64_t own_ms, int64_t *credit_ms)
{
    int64_t gap_ms = now_ms - alive_at_ms;
    *credit_ms = 0;
    if (own_ms >= 0 && own_ms < gap_ms)
        gap_ms = own_ms;
    if (alive_at_ms == 0)
        return GRACE_GAP_FIRST;
    if (gap_ms <= GRACE_STALE_MS)
        return GRACE_GAP_NONE;
    if (gap_ms <= GRACE_RESTART_MS) {
        *credit_ms = gap_ms - GRACE_STALE_MS;
        return GRACE_GAP_RESTART;
    }
    *credit_ms = gap_ms;
    return GRACE_GAP_OUTAGE;
}

int64_t grace_jump(int64_t now_ms, int64_t alive_at_ms, int64_t own_ms)
{
    int64_t gap_ms = now_ms - alive_at_ms;
    if (alive_at_ms == 0)
        return 0;
    if (gap_ms < 0)
        return gap_ms;
    return own_ms >= 0 && gap_ms - own_ms > GRACE_STALE_MS ? gap_ms - own_ms : 0;
}

/* Within the last `age`, and not in the future. */
static bool is_within(int64_t now_ms, int64_t at_ms, int64_t age_ms)
{
    return at_ms != 0 && at_ms <= now_ms && now_ms - at_ms <= age_ms;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static bool is_in_grace(const struct grace_facts *facts, const struct grace_limits *limits)
{
    int64_t grace_ms = limits->grace_ms;
    if (is_within(facts->now_ms, facts->last_sweep_ms, GRACE_KNOWN_MS))
        return false;
    if (is_within(facts->now_ms, facts->last_run_ms, GRACE_KNOWN_MS))
        grace_ms = smaller(grace_ms, GRACE_REDIS_MIN_MS);
    return facts->now_ms < facts->up_since_ms + grace_ms;
}

static bool is_mass_silence(const struct grace_facts *facts)
{
    return facts->heard >= GRACE_SUSPECTS_MIN && facts->silent * 2 > facts->heard;
}

enum grace_verdict grace_decide(const struct grace_facts *facts, const struct grace_limits *limits,
                                int64_t *suspicious_since_ms)
{
    bool is_silent = is_mass_silence(facts);
    bool known = facts->suspicious_since_ms != 0 && facts->suspicious_since_ms <= facts->now_ms;
    *suspicious_since_ms = is_silent && known ? facts->suspicious_since_ms : 0;
    if (facts->now_ms - facts->alive_at_ms > GRACE_STALE_MS)
        return GRACE_UNMONITORED;
    if (is_in_grace(facts, limits))
        return GRACE_WAIT;
    if (!is_silent)
        return GRACE_RELEASE;
    /* It begins where it first keeps back a sweep, and ends after one threshold: those who are
     * still silent then are dead. */
    if (!known)
        *suspicious_since_ms = facts->now_ms;
    return facts->now_ms < *suspicious_since_ms + limits->offline_ms ? GRACE_MASS_SILENCE
                                                                     : GRACE_RELEASE;
}

const char *grace_reason(enum grace_verdict verdict)
{
    switch (verdict) {
    case GRACE_RELEASE:
        return "claims may be released";
    case GRACE_UNMONITORED:
        return "no server with a sweeper is up, so it is unknown how long workers were cut off";
    case GRACE_WAIT:
        return "the server has not been up for long; workers get time to send a heartbeat";
    case GRACE_MASS_SILENCE:
        return "more than half of the workers fell silent at once; the server's network may be at "
               "fault";
    }
    return NULL;
}

int64_t grace_long_expired(int64_t claim_ms, int64_t grace_ms)
{
    return (claim_ms > grace_ms ? claim_ms : grace_ms) * GRACE_LONG_EXPIRED_DURATIONS;
}

int64_t grace_before(int64_t now_ms, int64_t up_since_ms, int64_t age_ms)
{
    return now_ms - age_ms < up_since_ms ? 0 : now_ms - age_ms;
}

int64_t grace_heard_since(int64_t now_ms, const struct grace_limits *limits)
{
    int64_t window_ms = limits->offline_ms * 2;
    return now_ms - (window_ms > GRACE_HEARD_MS ? window_ms : GRACE_HEARD_MS);
}

bool grace_is_due(int64_t now_ms, int64_t last_ms, int64_t interval_ms)
{
    return last_ms == 0 || last_ms > now_ms || now_ms - last_ms >= interval_ms;
}

bool grace_lease_holds(int64_t now_ms, int64_t until_ms)
{
    return until_ms > now_ms && until_ms <= now_ms + GRACE_LEASE_MS;
}

bool grace_tick_is_overdue(int64_t now_ms, int64_t due_ms, int64_t interval_ms)
{
    return now_ms - due_ms > interval_ms * GRACE_LATE_FACTOR;
}
