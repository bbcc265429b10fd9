/* watch: `status --watch`: prints the node's status every second until it is interrupted.
 *
 * On a terminal it uses the alternate screen and restores it on every exit, including SIGINT,
 * SIGTERM and SIGHUP. To a file or pipe it prints one status after the other (as JSON: one object
 * after the other), and ends when nobody reads any more. */
#ifndef AGENT_WATCH_H
#define AGENT_WATCH_H

#include "agent/base/config.h"

enum { WATCH_PAUSE_S = 1 };

int watch_status(const struct config *config, bool as_json); /* the exit status */

#endif
