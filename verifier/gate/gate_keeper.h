/* gate_keeper: the gate's connection and its circuit breaker.
 *
 * A thread opens the connection and probes it by taking and giving back a gate under a key of its
 * own, so that a read-only replica, a cluster node or a wrong password is found here and by no
 * request. It pings an idle connection, so that the reported state is true. Pauses between probes
 * grow and are jittered (backoff.h); a connection that lasted resets them. */
#ifndef VERIFIER_GATE_KEEPER_H
#define VERIFIER_GATE_KEEPER_H

#include "verifier/gate/gate.h"
#include "verifier/gate/gate_redis.h"

enum {
    GATE_PAUSE_MIN_MS = 1000,
    GATE_PAUSE_MAX_MS = 30 * 1000,
    GATE_LASTING_MS = 10 * 1000, /* a connection this old resets the pauses */
    GATE_PING_MS = 5 * 1000,     /* between two pings of an idle connection */
    GATE_END_MS = 2 * 1000,      /* gate_close waits this long for the thread */
};

struct gate_keeper;
/* prefix is copied, the probe's key begins with it. */
struct gate_keeper *gate_keeper_start(const struct gate_address *address, const char *password_file,
                                      const char *prefix);
void gate_keeper_stop(struct gate_keeper *keeper);

enum gate_outcome {
    GATE_ANSWERED,
    GATE_SKIPPED_OPEN, /* there is no connection */
    GATE_SKIPPED_SLOW, /* another call used it for too long */
    GATE_FAILED,       /* the command may or may not have run; the breaker is open now */
    GATE_OUTCOMES,
};
/* words: see gate_link_call. Waits at most wait_ms for another call's end; ends within
 * GATE_CALL_MS.
 */
enum gate_outcome gate_keeper_ask(struct gate_keeper *keeper, const char *const words[],
                                  int64_t wait_ms, struct gate_reply *reply);

/* For EVAL with one key. */
extern const char
    gate_script_enter[]; /* value, life in s -> 1, or the start of what the key holds */
extern const char
    gate_script_leave[]; /* value, new value ("": delete), life in s -> 1 if it was ours */

/* Until the first probe has succeeded or failed. */
void gate_keeper_wait(struct gate_keeper *keeper, int64_t timeout_ms);
enum gate_state gate_keeper_state(struct gate_keeper *keeper, char reason[GATE_REASON_BYTES]);

#endif
