/* agent: the resident process: one event loop over everything, no job logic.
 *
 * Start: key -> spool (taken as its owner) -> replay: running steps are adopted, records that need
 * one get a step, sealed ones go to the courier, ended ones are removed, corrupt ones quarantined,
 * foreign names reported -> first heartbeat -> claims. Nothing is claimed before the replay.
 *
 * Orders of an operator (drain, pause, ...) are files (order.h), seen at once.
 *
 * A service manager is told when it is ready, reloading or stopping, that the loop turns, and one
 * line of status (tailslate/notify.h).
 *
 * As pid 1 of a container it reaps whatever is left to it.
 *
 * SIGTERM, SIGINT: no more claims, steps are left running, the courier has AGENT_STOP_MS for what
 * is due or in flight, exit 0. SIGUSR1: drain: no more claims, exit 0 when the spool is empty.
 * SIGHUP: the configuration is read anew, all or nothing.
 *
 * Fatal at start: a bad configuration or key file, no ffmpeg, a spool that cannot be written or
 * that another agent owns. Nothing that a server says or does is fatal, ever. */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include "agent/base/config.h"

enum { AGENT_STOP_MS = 10 * 1000, AGENT_LOOK_MS = 5 * 1000 };

/* Returns the exit status. config is changed by SIGHUP. */
int agent_run(struct config *config, const char *config_path);

#endif
