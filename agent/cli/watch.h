/* watch: `status --watch`: the picture of the node, anew each second, until it is interrupted.
 *
 * On a terminal it has a screen of its own, which is given back however the verb ends by itself or
 * by SIGINT, SIGTERM or SIGHUP. Into a file or a pipe it prints one plain picture after the other
 * (as JSON: one object after the other), and ends when nobody reads any more. */
#ifndef AGENT_WATCH_H
#define AGENT_WATCH_H

#include "agent/base/config.h"

enum { WATCH_PAUSE_S = 1, WATCH_COLUMNS = 80 };

int watch_status(const struct config *config, bool as_json); /* the exit status */

#endif
