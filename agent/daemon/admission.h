/* admission: why this node claims no job now.
 *
 * A set of reasons; whoever finds one out sets and clears it. A node whose own faults make jobs
 * fail would use up the attempts of job after job: after ADMISSION_FAULTS_MAX such failures in a
 * row claims are suspended, longer each time. Below node.min_free_disk_gb nothing is claimed, and
 * the oldest finished work in kept/ (retained.h) is deleted; undelivered work is never touched. Low
 * ends slightly above the limit, so that it does not flap. */
#ifndef AGENT_ADMISSION_H
#define AGENT_ADMISSION_H

#include "agent/spool/spool.h"

enum {
    ADMISSION_FAULTS_MAX = 2, /* consecutive failures caused by this node that suspend claims */
    ADMISSION_FAULT_BYTES = 256,
    ADMISSION_DISK_CHECK_MS = 5 * 1000,
    ADMISSION_DISK_AGAIN_MS = 50, /* while retained work is being deleted */
};

struct node;
struct roster_owner;

/* In the order of importance: the first one that is set is shown. */
enum admission_reason {
    ADMISSION_STOPPING, /* by a signal: the agent exits soon */
    ADMISSION_DRAINING, /* by a signal: it exits when the spool is empty */
    ADMISSION_DRAINED,  /* by an operator */
    ADMISSION_PAUSED,   /* by an operator */
    ADMISSION_VERSION_REFUSED,
    ADMISSION_DISK_LOW,
    ADMISSION_DISK_AWAITED,
    ADMISSION_TOOL_BROKEN,
    ADMISSION_CONFIG_BROKEN, /* the file that a step would read */
    ADMISSION_RECORD_UNREADABLE,
    ADMISSION_SUSPENDED, /* until `suspended_until_ms` */
    ADMISSION_REASON_COUNT,
};

struct admission {
    bool is_set[ADMISSION_REASON_COUNT];
    int64_t since_us[ADMISSION_REASON_COUNT]; /* wall clock */
    unsigned faults;                          /* consecutive failures caused by this node */
    int64_t suspended_until_ms;
    char fault[ADMISSION_FAULT_BYTES]; /* the last of them */
    int64_t disk_free_bytes, disk_due_ms;
};

/* True: that is a change. */
bool admission_set(struct node *node, enum admission_reason reason, bool is_set);
bool admission_has(const struct node *node, enum admission_reason reason);

/* Why nothing is claimed; NULL: jobs are claimed. A string with static lifetime. */
const char *admission_block_reason(const struct node *node, int64_t now_ms);
/* The same with the node's fault, for status. Owned by the caller. */
char *admission_explain(const struct node *node, int64_t now_ms);
/* What a person can do about it; NULL: nothing. With static lifetime. */
const char *admission_hint(const struct node *node, int64_t now_ms);
/* Since when; 0: nothing blocks. */
int64_t admission_since_us(const struct node *node, int64_t now_ms);
/* When suspended claims go on; 0: they are not suspended. */
int64_t admission_suspended_until_ms(const struct node *node, int64_t now_ms);

/* An operator has checked the node, or it has shown that it works. */
void admission_reset_faults(struct node *node);
extern const struct roster_owner admission_owner; /* counts the failures */

int64_t admission_disk_limit_bytes(const struct node *node);
/* Monitors the free space in state_dir. Returns when to call it again. */
int64_t admission_tick(struct node *node, int64_t now_ms);

#endif
