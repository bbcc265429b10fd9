/* outcome: the end of a transcode that went well, written down until it is there.
 *
 * From here on the work must not be lost (P3), and one error of the disk is no reason to lose it.
 * The outcome is some hundred bytes: it is written anew each time, through a descriptor of its own,
 * after a pause in which the claim is kept. Each try begins with what the record says, since one
 * that failed may stand (durable.h). A full disk gets the source's place, which is not needed any
 * more, and is waited for as long as the claim lasts. Any other error that is still there after
 * OUTCOME_TRIES_MAX tries, some two minutes, is a disk that was lost.
 */
#ifndef AGENT_OUTCOME_H
#define AGENT_OUTCOME_H

#include "agent/api/session.h"

enum { OUTCOME_TRIES_MAX = 10 };

/* 0: it is on the disk. -1: it is not, or nobody can tell (the state says, when it can be read). */
int outcome_commit(struct session *session, const struct record_outcome *outcome,
                   struct error *err);

#endif
