/* doctor: the command `check`: is this node ready for work? One finding a line, with what to do.
 *
 * Everything that `run` would refuse (preflight.h), then disk, tools, encoders, server and key.
 * Changes nothing on the node; sends the server one heartbeat. Exit status 0: ready; 78: a person
 * must fix something; 75: only temporary problems (the server is down). */
#ifndef AGENT_DOCTOR_H
#define AGENT_DOCTOR_H

#include "agent/base/config.h"

/* prints: first the effective configuration. */
int doctor_run(const struct config *config, const char *config_path, bool prints);

#endif
