/* disk_wait: does the next stage fit on this disk? A step waits here until it does.
 *
 * The size of a source is known only when the server starts to send it, and by then the job is
 * claimed. Giving it back would be reported as a failure, which costs one of three attempts, and
 * the next claim would end the same way. So the step waits: progress reports extend the claim,
 * `waiting.json` in the record tells the agent to claim nothing else and tells `status` why, and
 * the step continues when there is enough space above node.min_free_disk_gb. */
#ifndef AGENT_DISK_WAIT_H
#define AGENT_DISK_WAIT_H

#include "agent/api/session.h"

/* 0: it fits now. -1: err TEMPORARY with code ENOSPC if the whole disk is too small (another node's
 * may not be), or ECANCELED: the claim is lost. */
int disk_wait(struct session *session, int64_t need_bytes, struct error *err);

#endif
