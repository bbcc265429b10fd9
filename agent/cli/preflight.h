/* preflight: what `run` needs, found before it starts: one list for `check`, which prints it, and
 * for `run`, which refuses by it. Starts no program and asks no server. */
#ifndef AGENT_PREFLIGHT_H
#define AGENT_PREFLIGHT_H

#include "agent/base/config.h"

/* config: as read by agent_config_read. */
void preflight(const struct config *config, struct findings *findings);

#endif
