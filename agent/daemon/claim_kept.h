/* claim_kept: finished work in kept/ that a new claim of its job is for.
 *
 * Refused: work that the server had no use for (job_gone), work of another video, file or set of
 * renditions, and what was claimed over CLAIM_TAKE_BACK_HOURS ago. A job that was completed by
 * somebody else and is to be made anew is transcoded anew. */
#ifndef AGENT_CLAIM_KEPT_H
#define AGENT_CLAIM_KEPT_H

#include "agent/spool/spool.h"

bool claim_find_kept(const struct spool *spool, const struct record_claim *claim,
                     char id[SPOOL_ID_BYTES]);

#endif
