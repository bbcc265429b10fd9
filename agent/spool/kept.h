/* kept: makes room on a full disk from what was kept, bit by bit.
 *
 * The record that was set aside first goes first: one rename takes it away, and then its files go,
 * KEPT_FILES_A_TICK at a time, so that the loop turns meanwhile. The next record only goes where
 * that was not enough. Never touches what is not in kept/. */
#ifndef AGENT_KEPT_H
#define AGENT_KEPT_H

#include "agent/spool/spool.h"

enum { KEPT_FILES_A_TICK = 200 };

/* Does one tick's work. False: there is nothing (more) to be removed. */
bool kept_make_room(const struct spool *spool);

#endif
