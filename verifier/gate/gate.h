/* gate: the optional lock in Redis in front of the database.
 *
 * It keeps copies of one completion, over all verifiers of a fleet, from working on the same row at
 * once: the first takes the key, the others wait for it, at most GATE_WAIT_MS. It decides nothing:
 * no call refuses or acknowledges a completion, nothing in Redis is trusted, and whatever happens
 * to Redis, the caller goes on to the database. So no call here fails; failures are counted, and
 * logged once for each change of state.
 *
 * One connection, kept ready by a thread (gate_keeper.c). A call uses it for GATE_CALL_MS at most;
 * the first failure closes it for all until a probe has succeeded, and no call queues behind a slow
 * one. Thread-safe. Every call accepts a NULL gate: none is configured.
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
    GATE_CALL_MS = 200, /* for one call in Redis, all included */
    GATE_TURN_MS = 10,  /* a call waits this long for another one, then does without the gate */
    GATE_LEAVE_TURN_MS = 100, /* for gate_leave: others wait for the key until then */
    GATE_WAIT_MS = 1000,
    GATE_HOLD_S = 10,       /* of `processing:<nonce>`: a verifier that died holds it no longer */
    GATE_COMPLETED_S = 900, /* of `completed` */
    GATE_SWEEP_S = 300,     /* lifetime of a last_run key */
    GATE_PREFIX_MAX_BYTES = 200,
    GATE_KEY_BYTES = GATE_PREFIX_MAX_BYTES + 160,
    GATE_REASON_BYTES = 200,
};

struct gate;

/* Parses and validates; Redis may be down, and is used as soon as it is up. url "": *gate is
 * NULL. password_file "" or NULL: none; read at every connect, because it may be rotated. Errors
 * are PERMANENT: the configuration is wrong. */
int gate_open(const char *url, const char *password_file, const char *prefix, struct gate **gate,
              struct error *err);
void gate_close(struct gate *gate); /* no other call may be running */

struct gate_pass {
    char key[GATE_KEY_BYTES]; /* "": nothing was taken */
    char held[64];            /* our value */
};

/* Before the transaction. Waits while another verifier works on this token; without a token, does
 * nothing. Always call gate_leave afterwards, on every path. */
void gate_enter(struct gate *gate, int64_t job_id, const char *token, struct gate_pass *pass);
/* committed: the commit is known. Changes the key only if the value is still ours. */
void gate_leave(struct gate *gate, struct gate_pass *pass, bool committed);

/* Records the last complete sweep for other verifiers; now: ISO 8601 UTC. */
enum gate_sweep { GATE_SWEEP_STALE_JOBS, GATE_SWEEP_ORPHANS };
void gate_note_sweep(struct gate *gate, enum gate_sweep kind, const char *now);
/* In ms since 1970; 0 if there is none, it is not a time, or Redis is unavailable. Right after
 * gate_open it waits for the first connection, GATE_WAIT_MS at most: not for the hot path. */
int64_t gate_last_sweep_ms(struct gate *gate, enum gate_sweep kind);

/* Waits for the first probe; for `check`. */
int gate_ping(struct gate *gate, struct error *err);

enum gate_state {
    GATE_NONE,      /* not configured */
    GATE_CLOSED,    /* the breaker is closed: Redis is used */
    GATE_HALF_OPEN, /* a probe is running */
    GATE_OPEN,      /* Redis is not used until the next probe */
};
struct gate_counts {
    int64_t entered;      /* the key was taken */
    int64_t waited;       /* another verifier held the key */
    int64_t not_ours;     /* the key held anything else */
    int64_t skipped_open; /* the breaker was open */
    int64_t skipped_slow; /* another call was slow */
    int64_t failed;
    enum gate_state state;
    char reason[GATE_REASON_BYTES]; /* why it is not closed; "" */
};
void gate_counts(struct gate *gate, struct gate_counts *counts);

#endif
