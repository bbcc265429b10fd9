/* retire: the end of a record: clean-up, keeping, quarantine, and the one job.final event.
 *
 * Order: outputs removed -> job.final logged -> the record removed in one rename. Logged before the
 * removal, a crash in between can make a second line, never none. While a step still holds the
 * record nothing is touched. Trouble (a disk that fails) is retried with backoff for ever. */
#ifndef AGENT_RETIRE_H
#define AGENT_RETIRE_H

#include "agent/daemon/node.h"

enum job_outcome {
    OUTCOME_COMPLETED,
    OUTCOME_FAILED,
    OUTCOME_LOST,       /* the claim went before the work was done */
    OUTCOME_SUPERSEDED, /* the work was done; the server had given the job to somebody else */
    OUTCOME_GONE,       /* the server has no use for it any more */
    OUTCOME_QUARANTINED,
    OUTCOME_COUNT,
};

void retire_register_metrics(void);

/* Retires what is acknowledged or lost. Returns when it wants to be called again. */
int64_t retire_tick(struct node *node, int64_t now_ms);

/* Out of the spool at once; the live record is gone afterwards, also where the move failed (the
 * next start meets it again). */
void retire_into_quarantine(struct live *live, const char *reason);
void retire_into_kept(struct live *live, enum job_outcome outcome, const char *reason);

#endif
