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
    GRACE_LONG_EXPIRED_DURATIONS = 4, /* so many durations after its end nobody holds a claim */
};

enum grace_gap {
    GRACE_GAP_FIRST, /* nobody has ever been up */
    GRACE_GAP_NONE,
    GRACE_GAP_RESTART, /* claims are credited, silence is not reset */
    GRACE_GAP_OUTAGE,  /* claims are credited, silence counts from now */
};
/* How long the server side was down. own_ms: time since this process's last sign of life, by a
 * clock that never jumps; -1: none yet. The server side cannot have been down for longer; any
 * excess by the database's clock is a jump of that clock and not an outage.
 *
 * *credit_ms: what is added to the open claims. After a restart GRACE_STALE_MS is not credited,
 * because the server may have answered in that time; otherwise a server that restarts again and
 * again would extend claims without end. */
enum grace_gap grace_gap(int64_t now_ms, int64_t alive_at_ms, int64_t own_ms, int64_t *credit_ms);
/* How far the database's clock was set forward (back: negative) since then; 0 if that is little or
 * unknown. */
int64_t grace_jump(int64_t now_ms, int64_t alive_at_ms, int64_t own_ms);

struct grace_limits {
    int64_t grace_ms, offline_ms;
};
struct grace_facts {
    int64_t now_ms, alive_at_ms, up_since_ms;
    int64_t last_sweep_ms; /* by the database */
    int64_t last_run_ms;   /* by Redis */
    int64_t suspicious_since_ms;
    int64_t heard,
        silent; /* workers heard since grace_heard_since; those of them that are silent */
};
enum grace_verdict {
    GRACE_RELEASE,
    GRACE_UNMONITORED,  /* no server writes the sign of life: an uncredited outage */
    GRACE_WAIT,         /* the server side was down and came back recently */
    GRACE_MASS_SILENCE, /* too many silent at once: the server may be the cause */
};
/* *suspicious_since_ms: the new value for the fleet's row; 0: none. */
enum grace_verdict grace_decide(const struct grace_facts *facts, const struct grace_limits *limits,
                                int64_t *suspicious_since_ms);
/* One sentence for the operator. */
const char *grace_reason(enum grace_verdict verdict);

/* How long after its end nobody holds a claim, whatever its worker reports. A short claim may
 * expire between two calls of a live worker, which are at most the grace apart. */
int64_t grace_long_expired(int64_t claim_ms, int64_t grace_ms);
/* A worker last heard before this is silent; a claim that expired before this has been expired for
 * long. 0 if this is before up_since, when nobody could be heard. */
int64_t grace_before(int64_t now_ms, int64_t up_since_ms, int64_t age_ms);
/* A worker heard since then belongs to the fleet. */
int64_t grace_heard_since(int64_t now_ms, const struct grace_limits *limits);

/* For what is done every interval_ms and was last done at last_ms. */
bool grace_is_due(int64_t now_ms, int64_t last_ms, int64_t interval_ms);
/* A lease that ends later than possible is invalid. */
bool grace_lease_holds(int64_t now_ms, int64_t until_ms);
/* By the monotonic clock: due at due_ms, started at now_ms. */
bool grace_tick_is_overdue(int64_t now_ms, int64_t due_ms, int64_t interval_ms);

#endif
