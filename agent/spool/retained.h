/* retained: the retained work in kept/: frees space on a full disk by deleting it step by step, and
 * finds work that a new claim can continue.
 *
 * The oldest record goes first: one rename removes it from kept/, then its files are deleted,
 * RETAINED_FILES_PER_TICK at a time, so that the loop is not blocked. The next record only goes if
 * that was not enough. Never touches anything outside kept/. */
#ifndef AGENT_RETAINED_H
#define AGENT_RETAINED_H

#include "agent/spool/spool.h"

enum { RETAINED_FILES_PER_TICK = 200 };

/* Does one tick's work. False: there is nothing (more) to delete. */
bool retained_free_space(const struct spool *spool);

/* Finds finished work in kept/ that matches a new claim of its job.
 *
 * Refuses work that the server no longer wanted (job_gone), work for another video, file or set of
 * renditions, and work that was claimed more than RETAINED_TAKE_BACK_HOURS ago. A job that another
 * worker completed and that must be transcoded again is transcoded again. */
enum { RETAINED_TAKE_BACK_HOURS = 48 }; /* older retained work may not match the current source */
bool retained_find(const struct spool *spool, const struct record_claim *claim,
                   char id[SPOOL_ID_BYTES]);

#endif
