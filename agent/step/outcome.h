/* outcome: records the outcome of a successful transcode, and retries until it is on disk.
 *
 * From here on the work must not be lost (P3), and a single disk error is no reason to lose it. The
 * outcome is a few hundred bytes: it is written again each time, through a new descriptor, after a
 * pause in which the claim is extended. Each attempt first reads what the record says, because a
 * failed attempt may have succeeded (durable.h). On a full disk the source, which is no longer
 * needed, is deleted, and the step waits as long as the claim lasts. Any other error that persists
 * after OUTCOME_TRIES_MAX attempts, about two minutes, means that the disk is lost. */
#ifndef AGENT_OUTCOME_H
#define AGENT_OUTCOME_H

#include "agent/api/session.h"

enum { OUTCOME_TRIES_MAX = 10 };

/* 0: it is on disk. -1: it is not, or that is unknown (the state tells, when it can be read). */
int outcome_commit(struct session *session, const struct record_outcome *outcome,
                   struct error *err);

#endif
