/* schedule: which faults a run of the laboratory meets, and when. A pure function of its plan: the
 * same plan gives the same faults on every machine. Each seed prefers one kind of target, and half
 * of the seeds kill no verifier: a killed one keeps the lead of the sweeps for 30 s.
 *
 * A fault of the network (LAB_CALL) is armed for one node: it hits the next `amount` of its calls
 * of the kind `call`. What has a duration has it in milliseconds. */
#ifndef LAB_SCHEDULE_H
#define LAB_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum lab_store {
    LAB_SQLITE,
    LAB_POSTGRES,
    LAB_FLEET,
    LAB_STORES
}; /* fleet: PostgreSQL and Redis */
enum lab_target {
    LAB_CALL,
    LAB_COMPLETION, /* the next completions, whoever presents them */
    LAB_NODE,
    LAB_VERIFIER,
    LAB_STORE, /* whichever it is */
    LAB_DATABASE,
    LAB_REDIS,
    LAB_JOB
};

/* name, how often beside the others, whom it hits, least and greatest amount */
#define LAB_FAULTS(X)                                                                              \
    X(REFUSE, "refuse", 2, LAB_CALL, 1, 6)             /* closed before a byte is read */          \
    X(RESET_BEFORE, "reset-before", 3, LAB_CALL, 1, 4) /* read, never forwarded */                 \
    X(RESET_AFTER, "reset-after", 5, LAB_CALL, 1, 4)   /* carried out; the answer is lost */       \
    X(SWALLOW, "swallow", 3, LAB_CALL, 1, 2)         /* the same, and nobody hangs up for 0.4 s */ \
    X(CUT, "cut", 4, LAB_CALL, 1, 4)                 /* half of the answer */                      \
    X(DRIP, "drip", 2, LAB_CALL, 1, 3)               /* the answer in small pieces */              \
    X(DUPLICATE, "duplicate", 4, LAB_CALL, 1, 4)     /* carried out twice, at the same time */     \
    X(DELAY, "delay", 3, LAB_CALL, 1, 3)             /* forwarded 0.4 s later */                   \
    X(BAD_GATEWAY, "bad-gateway", 2, LAB_CALL, 1, 6) /* 502 and HTML, not forwarded */             \
    X(CAPTIVE, "captive", 2, LAB_CALL, 1, 4)         /* 200 and HTML, not forwarded */             \
    X(LATE, "late", 3, LAB_CALL, 1, 4)               /* a copy comes 0.7 s after it */             \
    X(SECOND_TOKEN, "second-token", 3, LAB_COMPLETION, 1,                                          \
      3)                                       /* beside it, the same with another */              \
    X(CROWD, "crowd", 4, LAB_COMPLETION, 1, 3) /* both of that at once, and its row is locked */   \
    X(FAIL_AFTER, "fail-after", 3, LAB_COMPLETION, 1, 3)  /* once it is acknowledged, a failure */ \
    X(LOSE_FILE, "lose-file", 3, LAB_COMPLETION, 1, 2)    /* before it, a segment of its goes */   \
    X(CRASH_AGENT, "crash-agent", 4, LAB_NODE, 300, 1200) /* at one of the points of crash.h */    \
    X(LOSE_NODE, "lose-node", 2, LAB_NODE, 0, 0)          /* for good, one in a run */             \
    X(SET_NODE_CLOCK, "set-node-clock", 1, LAB_NODE, -3600000, 3600000) /* so many ms from now */  \
    X(FULL_DISK, "full-disk", 2, LAB_NODE, 100, 1500)                   /* ENOSPC, so long */      \
    X(BAD_DISK, "bad-disk", 2, LAB_NODE, 1, 4)         /* so many writing calls fail with EIO */   \
    X(KILL_AGENT, "kill-agent", 4, LAB_NODE, 50, 1000) /* it is down so long */                    \
    X(KILL_STEP, "kill-step", 2, LAB_NODE, 0, 0)                                                   \
    X(KILL_TRANSCODER, "kill-transcoder", 1, LAB_NODE, 0, 0)                                       \
    X(KILL_NODE, "kill-node", 2, LAB_NODE, 50, 2500)    /* agent, steps and transcoders at once */ \
    X(STOP_AGENT, "stop-agent", 2, LAB_NODE, 100, 3000) /* SIGSTOP, so long */                     \
    X(STOP_NODE, "stop-node", 4, LAB_NODE, 1500, 3500)  /* agent and steps, as a machine asleep */ \
    X(STOP_STEP, "stop-step", 2, LAB_NODE, 100, 3000)                                              \
    X(KILL_VERIFIER, "kill-verifier", 4, LAB_VERIFIER, 50, 1000)                                   \
    X(STOP_VERIFIER, "stop-verifier", 2, LAB_VERIFIER, 100, 1500)                                  \
    X(RESTART_VERIFIER, "restart-verifier", 3, LAB_VERIFIER, 50, 500) /* SIGTERM */                \
    X(CRASH_VERIFIER, "crash-verifier", 4, LAB_VERIFIER, 300, 1200)   /* at a point of crash.h */  \
    X(FULL_SERVER_DISK, "full-server-disk", 2, LAB_VERIFIER, 100, 1500)                            \
    X(BAD_SERVER_DISK, "bad-server-disk", 2, LAB_VERIFIER, 1, 4)                                   \
    X(SET_CLOCK, "set-clock", 2, LAB_STORE, -20000,                                                \
      120000)                                    /* verifiers; PostgreSQL has its own */           \
    X(OUTAGE, "outage", 2, LAB_STORE, 500, 2500) /* no verifier for so long */                     \
    X(LONG_OUTAGE, "long-outage", 3, LAB_STORE, 61000, 600000) /* by the verifiers' clocks */      \
    X(LOCK_ROWS, "lock-rows", 4, LAB_STORE, 100, 1200)         /* by somebody else */              \
    X(CUT_COMMIT, "cut-commit", 5, LAB_DATABASE, 0, 1) /* 0: never had, 1: had, its answer lost */ \
    X(CRASH_DATABASE, "crash-database", 2, LAB_DATABASE, 50, 800)     /* down so long */           \
    X(RESTART_DATABASE, "restart-database", 2, LAB_DATABASE, 50, 800) /* an orderly end */         \
    X(HANG_DATABASE, "hang-database", 2, LAB_DATABASE, 100, 1500)                                  \
    X(KILL_REDIS, "kill-redis", 3, LAB_REDIS, 50, 1500)                                            \
    X(HANG_REDIS, "hang-redis", 3, LAB_REDIS, 100, 1500)                                           \
    X(FORGE_REDIS, "forge-redis", 3, LAB_REDIS, 0,                                                 \
      2) /* tokens: 0 at work, 1 completed; 2 sweeps */                                            \
    X(FLUSH_REDIS, "flush-redis", 3, LAB_REDIS, 0, 0) /* it forgets everything */                  \
    X(ROTATE_KEY, "rotate-key", 2, LAB_NODE, 0, 0)                                                 \
    X(CANCEL, "cancel", 2, LAB_JOB, 0, 0)                                                          \
    X(RELEASE, "release", 4, LAB_JOB, 0, 0)                                                        \
    X(DELETE, "delete", 1, LAB_JOB, 0, 1) /* 1: with its files */                                  \
    X(RETRY, "retry", 3, LAB_JOB, 0, 0)                                                            \
    X(RETRANSCODE, "retranscode", 3, LAB_JOB, 0, 0)

enum lab_fault {
#define LAB_ENUM(name, text, weight, target, least, most) LAB_##name,
    LAB_FAULTS(LAB_ENUM)
#undef LAB_ENUM
        LAB_FAULT_COUNT
};

/* COMPLETE first: half of the faults of any call hit the one that all of this is about. */
#define LAB_CALLS(X)                                                                               \
    X(COMPLETE, "complete")                                                                        \
    X(CLAIM, "claim")                                                                              \
    X(UPLOAD, "upload")                                                                            \
    X(PROGRESS, "progress")                                                                        \
    X(HEARTBEAT, "heartbeat")                                                                      \
    X(FAIL, "fail")                                                                                \
    X(OTHER, "other")

enum lab_call {
#define LAB_ENUM(name, text) LAB_CALL_##name,
    LAB_CALLS(LAB_ENUM)
#undef LAB_ENUM
        LAB_CALL_COUNT
};

struct lab_plan {
    uint64_t seed;
    int64_t duration_ms;
    enum lab_store store;
    int nodes, verifiers, jobs;
};

struct lab_event {
    int number; /* from 1, in the order of time */
    int64_t at_ms;
    enum lab_fault fault;
    int target; /* index of the node, verifier or job */
    enum lab_call call;
    int64_t amount;
};

enum { LAB_EVENTS_MAX = 4096, LAB_NODES_MAX = 4, LAB_VERIFIERS_MAX = 2, LAB_EVENT_EVERY_MS = 120 };

size_t schedule_make(const struct lab_plan *plan, struct lab_event events[LAB_EVENTS_MAX]);
/* Keeps those whose numbers the list names ("3,7,9"; "": none). -1: it is no such list. */
int schedule_keep(struct lab_event events[], size_t *count, const char *numbers);
void schedule_print(const struct lab_event *event, FILE *out); /* one line */

const char *lab_fault_name(enum lab_fault fault);
enum lab_target lab_fault_target(enum lab_fault fault);
const char *lab_call_name(enum lab_call call);
const char *lab_store_name(enum lab_store store);
bool lab_store_parse(const char *name, enum lab_store *store);

#endif
