/* gate_keeper: the gate's connection and its breaker.
 *
 * A thread of its own makes the connection and proves by a real gate (taken and given back under a
 * key of its own) that it works: a read-only replica, a node of a cluster, a wrong password show
 * here, and no request pays for finding out. While it stands, the keeper asks it now and then, so
 * that what is said of it is true. Pauses between probes grow and are jittered (backoff.h); they
 * start again only after a connection that lasted. */
#ifndef VERIFIER_GATE_KEEPER_H
#define VERIFIER_GATE_KEEPER_H

#include "verifier/gate/gate.h"
#include "verifier/gate/gate_redis.h"

enum {
    GATE_PAUSE_MIN_MS = 1000,
    GATE_PAUSE_MAX_MS = 30 * 1000,
    GATE_LASTING_MS = 10 * 1000, /* so long, and the next pause is a short one again */
    GATE_PING_MS = 5 * 1000,     /* between two pings of an idle connection */
    GATE_END_MS = 2 * 1000,      /* gate_close waits so long for the thread */
};

struct gate_keeper;
/* prefix is copied, the probe's key begins with it. */
struct gate_keeper *gate_keeper_start(const struct gate_address *address, const char *password_file,
                                      const char *prefix);
void gate_keeper_stop(struct gate_keeper *keeper);

enum gate_outcome {
    GATE_ANSWERED,
    GATE_SKIPPED_OPEN, /* there is no connection */
    GATE_SKIPPED_SLOW, /* another call has it, for longer than this one waits */
    GATE_FAILED,       /* it may or may not have been carried out; the breaker is open now */
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

/* Until the first probe has ended, well or not. */
void gate_keeper_wait(struct gate_keeper *keeper, int64_t timeout_ms);
enum gate_state gate_keeper_state(struct gate_keeper *keeper, char reason[GATE_REASON_BYTES]);

#endif
