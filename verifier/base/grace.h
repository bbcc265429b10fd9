/* grace: whether claims may be released now, and how long the server side was down. Pure.
 *
 * A silent worker may be dead, or the server side may have been down: after an outage all of them
 * look dead at once. The sweeper and /claim share this decision, so that neither releases what the
 * other would have kept.
 *
 * Times are milliseconds since 1970 by the database's clock; 0 is never. A time in the future (a
 * clock was set back, or a value is forged) proves nothing and shortens nothing. */
#ifndef VERIFIER_GRACE_H
#define VERIFIER_GRACE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    GRACE_ALIVE_MS = 5 * 1000,    /* interval of the sign of life */
    GRACE_STALE_MS = 15 * 1000,   /* a sign of life older than this: nobody was up */
    GRACE_RESTART_MS = 60 * 1000, /* a gap up to one heartbeat limit is a restart, not an outage */
    GRACE_KNOWN_MS = 120 * 1000,  /* so recent a sweep proves that the fleet was monitored */
    GRACE_REDIS_MIN_MS = 60 * 1000,   /* Redis never shortens the grace below this */
    GRACE_HEARD_MS = 60 * 60 * 1000,  /* workers with a heartbeat within this are the fleet */
    GRACE_SUSPECTS_MIN = 4,           /* of them; fewer prove nothing */
    GRACE_LEASE_MS = 30 * 1000,       /* of the leader */
    GRACE_LATE_FACTOR = 2,            /* a tick later than so many intervals is overdue */
    GRACE_LONG_EXPIRED_DURATIONS = 4, /* of claims after its end nobody holds a claim */
};

enum grace_gap {
    GRACE_GAP_FIRST, /* nobody has ever been up */
    GRACE_GAP_NONE,
    GRACE_GAP_RESTART, /* claims are credited, silence is not reset */
    GRACE_GAP_OUTAGE,  /* claims are credited, silence counts from now */
};
/* For how long nobody was there. own_ms: how long ago the asking process was itself, by a clock
 * that never jumps; -1: it was not yet. The server side cannot have been away for longer: what the
 * database's clock says beyond that is a jump of the clock, and no outage.
 *
 * *credit_ms: what is added to the open claims. Of a restart the stale time is left out, for the
 * server may have answered in it: who restarts for ever would else keep claims for ever. */
enum grace_gap grace_gap(int64_t now_ms, int64_t alive_at_ms, int64_t own_ms, int64_t *credit_ms);
/* How far the database's clock was set forward (or back: negative) since; 0 where that is little,
 * or cannot be told. */
int64_t grace_jump(int64_t now_ms, int64_t alive_at_ms, int64_t own_ms);

struct grace_limits {
    int64_t grace_ms, offline_ms;
};
struct grace_facts {
    int64_t now_ms, alive_at_ms, up_since_ms;
    int64_t last_sweep_ms; /* the database's */
    int64_t last_run_ms;   /* what Redis says of it */
    int64_t suspicious_since_ms;
    int64_t heard, silent; /* workers heard within grace_heard_since; of these, now offline */
};
enum grace_verdict {
    GRACE_RELEASE,
    GRACE_UNMONITORED,  /* no server keeps the fleet's row: an outage that nobody has credited */
    GRACE_WAIT,         /* the server side was away and has not been back for long */
    GRACE_MASS_SILENCE, /* too many silent at once: the server may be the cause */
};
/* *suspicious_since_ms: what is to stand in the fleet's row from now on; 0: nothing. */
enum grace_verdict grace_decide(const struct grace_facts *facts, const struct grace_limits *limits,
                                int64_t *suspicious_since_ms);
/* One sentence for the operator. */
const char *grace_reason(enum grace_verdict verdict);

/* How long after its end a claim is nobody's, whatever its worker says. A short claim ends between
 * two calls of a live worker, which are as far apart as the grace allows for. */
int64_t grace_long_expired(int64_t claim_ms, int64_t grace_ms);
/* Who was heard before this is silent now; a claim that expired before this has expired for long.
 * 0 where that would reach behind up_since: nobody could be heard then. */
int64_t grace_before(int64_t now_ms, int64_t up_since_ms, int64_t age_ms);
/* Who was heard since this belongs to the fleet. */
int64_t grace_heard_since(int64_t now_ms, const struct grace_limits *limits);

/* Something that is done every interval_ms, and was done last at last_ms. */
bool grace_is_due(int64_t now_ms, int64_t last_ms, int64_t interval_ms);
/* A lease that ends later than possible is invalid. */
bool grace_lease_holds(int64_t now_ms, int64_t until_ms);
/* By the monotonic clock: due at due_ms, came at now_ms. */
bool grace_tick_is_overdue(int64_t now_ms, int64_t due_ms, int64_t interval_ms);

#endif
