/* disk: how much of a file system is free, and whether the next stage fits. A step waits here until
 * it does.
 *
 * The size of a source is known only when the server starts to send it, and by then the job is
 * claimed. Giving it back would be reported as a failure, which costs one of three attempts, and
 * the next claim would end the same way. So the step waits: progress reports extend the claim,
 * `waiting.json` in the record tells the agent to claim nothing else and tells `status` why, and
 * the step continues when there is enough space above node.min_free_disk_gb. */
#ifndef AGENT_DISK_H
#define AGENT_DISK_H

#include "agent/api/session.h"
#include "lib/error.h"

#include <stdint.h>

/* Of the file system that contains dir; capacity_bytes may be NULL. A test build reads the two
 * numbers from the file that TAILSLATE_TEST_DISK names. */
int disk_free_bytes(int dir, int64_t *free_bytes, struct error *err);
int disk_space(int dir, int64_t *free_bytes, int64_t *capacity_bytes, struct error *err);

/* 0: it fits now. -1: err TEMPORARY with code ENOSPC if the whole disk is too small (another node's
 * may not be), or ECANCELED: the claim is lost. */
int disk_wait(struct session *session, int64_t need_bytes, struct error *err);

#endif
