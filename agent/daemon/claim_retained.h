/* claim_retained: finds finished work in kept/ that matches a new claim of its job.
 *
 * Refuses work that the server no longer wanted (job_gone), work for another video, file or set of
 * renditions, and work that was claimed more than CLAIM_TAKE_BACK_HOURS ago. A job that another
 * worker completed and that must be transcoded again is transcoded again. */
#ifndef AGENT_CLAIM_RETAINED_H
#define AGENT_CLAIM_RETAINED_H

#include "agent/spool/spool.h"

bool claim_find_retained(const struct spool *spool, const struct record_claim *claim,
                         char id[SPOOL_ID_BYTES]);

#endif
