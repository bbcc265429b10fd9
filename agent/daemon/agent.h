/* agent: the resident process: one event loop, no job logic.
 *
 * Start: key -> spool (as its owner) -> replay: running steps are adopted, records that need a step
 * get one, sealed records go to the courier, finished ones are removed, corrupt ones are
 * quarantined, foreign names are reported -> first heartbeat -> claims. Nothing is claimed before
 * the replay.
 *
 * An operator's requests (drain, pause, ...) are control files (control_file.h) and take effect at
 * once.
 *
 * Tells the service manager when it is ready, reloading or stopping, that the loop is running, and
 * a status line (base/notify.h).
 *
 * As PID 1 of a container it reaps orphaned processes.
 *
 * SIGTERM, SIGINT: claims nothing more, leaves steps running, gives the courier AGENT_STOP_MS for
 * what is due or in flight, exits with 0. SIGUSR1: drains: claims nothing more, exits with 0 when
 * the spool is empty. SIGHUP: reloads the configuration, all or nothing.
 *
 * Fatal at start: an invalid configuration or key file, no ffmpeg, a spool that cannot be written
 * or that another agent uses. Nothing that a server says or does is ever fatal. */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include "agent/base/config.h"

enum { AGENT_STOP_MS = 10 * 1000, AGENT_CHECK_MS = 5 * 1000 };

/* Returns the exit status. SIGHUP changes config. */
int agent_run(struct config *config, const char *config_path);

#endif
