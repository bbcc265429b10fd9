/* kept: frees space on a full disk by deleting retained work, bit by bit.
 *
 * The oldest record goes first: one rename removes it from kept/, then its files are deleted,
 * KEPT_FILES_A_TICK at a time, so that the loop is not blocked. The next record only goes if that
 * was not enough. Never touches anything outside kept/. */
#ifndef AGENT_KEPT_H
#define AGENT_KEPT_H

#include "agent/spool/spool.h"

enum { KEPT_FILES_A_TICK = 200 };

/* Does one tick's work. False: there is nothing (more) to delete. */
bool kept_make_room(const struct spool *spool);

#endif
