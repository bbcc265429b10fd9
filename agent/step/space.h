/* space: does what comes next fit on this disk? A step waits here until it does.
 *
 * How large a source is shows only when the server begins to send it, and then the job is claimed.
 * Giving it back would be reported as a failure, which costs it one of three attempts, and the next
 * claim would end the same. So it waits: the claim is kept by progress, `waiting.json` in the
 * record tells the agent to claim nothing else and `status` why, and it goes on by itself when
 * there is room above node.min_free_disk_gb. */
#ifndef AGENT_SPACE_H
#define AGENT_SPACE_H

#include "agent/api/session.h"

/* 0: it fits now. -1: err TEMPORARY with code ENOSPC where the whole disk is too small for it
 * (another node's may not be), or ECANCELED: the claim is lost. */
int space_await(struct session *session, int64_t need_bytes, struct error *err);

#endif
