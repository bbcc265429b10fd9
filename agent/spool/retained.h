/* retained: frees space on a full disk by deleting retained work, bit by bit.
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

#endif
