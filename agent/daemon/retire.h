/* retire: the end of a record: clean-up, retention, quarantine, and the one job.final event.
 *
 * Order: outputs removed -> job.final logged -> the record removed in one rename. Because it is
 * logged before the removal, a crash in between can repeat the line but never lose it. While a step
 * holds the record nothing is touched. Errors (a failing disk) are retried with backoff forever. */
#ifndef AGENT_RETIRE_H
#define AGENT_RETIRE_H

#include "agent/daemon/node.h"

enum job_outcome {
    OUTCOME_COMPLETED,
    OUTCOME_FAILED,
    OUTCOME_LOST,       /* the claim was lost before the work was done */
    OUTCOME_SUPERSEDED, /* the work was done, but another worker has claimed the job */
    OUTCOME_GONE,       /* the server no longer wants it */
    OUTCOME_QUARANTINED,
    OUTCOME_COUNT,
};

void retire_register_metrics(void);

/* Retires what is acknowledged or lost. Returns when to call it again. */
int64_t retire_tick(struct node *node, int64_t now_ms);

/* Moves it out of the spool at once. The live record is freed afterwards even if the move failed
 * (the next start finds it again). */
void retire_into_quarantine(struct live *live, const char *reason);
/* problem: the code of the answer that ended it; TAILSLATE_PROBLEM_NONE: none. */
void retire_retain(struct live *live, enum job_outcome outcome, enum tailslate_problem problem,
                   const char *reason);
/* What a removal had to wait for is over. */
void retire_again(struct live *live);

extern const struct roster_owner retire_owner;

#endif
