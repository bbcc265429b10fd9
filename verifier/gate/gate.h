/* gate: the optional gate in Redis in front of the database.
 *
 * It keeps copies of one completion, over all verifiers of a fleet, from working on the same job
 * row at once: the first takes the key, the others wait for it, at most GATE_WAIT_MS. That is all
 * it does. It refuses to decide: no call refuses or acknowledges a completion, nothing in Redis is
 * believed, and whatever happens to Redis, the caller goes on to the database, whose guards are the
 * truth. So no call here fails; what went wrong is counted, and logged once per change of state.
 *
 * One connection, kept by a thread of its own: it resolves names, connects, authenticates, probes
 * (gate_keeper.c). A caller only uses a connection that is ready, for GATE_CALL_MS at most; the
 * first failure takes it away from everybody until a probe has gone well. A call that finds another
 * one slow does not queue behind it. Safe from any thread. A NULL gate is none: all calls take it.
 *
 * Keys, shared with stock servers: <prefix>completion_token:<job>:<token>, and the sweeps' below.
 */
#ifndef VERIFIER_GATE_H
#define VERIFIER_GATE_H

#include "base/clock.h"
#include "lib/error.h"

#include "tailslate/token.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    GATE_CALL_MS = 200,       /* all of one call's work in Redis */
    GATE_TURN_MS = 10,        /* a call waits so long for the one before it, then goes on without */
    GATE_LEAVE_TURN_MS = 100, /* who leaves: until then the others wait for nothing */
    GATE_WAIT_MS = 1000,
    GATE_HOLD_S = 10, /* the life of `processing:<nonce>`: a verifier that died holds no longer */
    GATE_COMPLETED_S = 900, /* the life of `completed` */
    GATE_SWEEP_S = 300,     /* the life of a last_run */
    GATE_PREFIX_MAX_BYTES = 200,
    GATE_KEY_BYTES = GATE_PREFIX_MAX_BYTES + 160,
    GATE_REASON_BYTES = 200,
};

struct gate;

/* Parses and validates; Redis need not be there, it is used as soon as it comes. url "": *gate is
 * NULL. password_file "" or NULL: none; read at every connect, because it may be rotated. Errors
 * are PERMANENT: the configuration is wrong. */
int gate_open(const char *url, const char *password_file, const char *prefix, struct gate **gate,
              struct error *err);
void gate_close(struct gate *gate); /* nobody may be inside; NULL is fine */

struct gate_pass {
    char key[GATE_KEY_BYTES]; /* "": nothing was taken */
    char held[64];            /* the value that is ours */
};

/* Before the transaction. Waits where another one is at it. A completion without a token has no
 * gate. Always to be followed by gate_leave, on every way out. */
void gate_enter(struct gate *gate, int64_t job_id, const char *token, struct gate_pass *pass);
/* committed: this call's commit is known. Changes the key only where the value is still ours. */
void gate_leave(struct gate *gate, struct gate_pass *pass, bool committed);

/* When the last whole sweep was, for other instances; now: ISO 8601 UTC. */
enum gate_sweep { GATE_SWEEP_STALE_JOBS, GATE_SWEEP_ORPHANS };
void gate_note_sweep(struct gate *gate, enum gate_sweep kind, const char *now);
/* In ms since 1970; 0 where there is none, where it is no time, or where Redis cannot be asked. Not
 * for the hot path: right after gate_open it waits for the first connection, GATE_WAIT_MS at most.
 */
int64_t gate_last_sweep_ms(struct gate *gate, enum gate_sweep kind);

/* Waits for the first connection and asks it; for `check`. */
int gate_ping(struct gate *gate, struct error *err);

enum gate_state {
    GATE_NONE,      /* not configured */
    GATE_CLOSED,    /* the breaker is closed: Redis is used */
    GATE_HALF_OPEN, /* one probe is under way */
    GATE_OPEN,      /* Redis is left alone until the next probe */
};
struct gate_counts {
    int64_t entered;      /* the key was had */
    int64_t waited;       /* another one was at it */
    int64_t not_ours;     /* the key held something that is not a verifier at work */
    int64_t skipped_open; /* the breaker was open */
    int64_t skipped_slow; /* another call was slow */
    int64_t failed;
    enum gate_state state;
    char reason[GATE_REASON_BYTES]; /* why it is not closed; "" */
};
void gate_counts(struct gate *gate, struct gate_counts *counts);

#endif
