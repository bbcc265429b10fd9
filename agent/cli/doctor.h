/* doctor: the command `check`: is this node ready for work? Each finding says what to do about it.
 *
 * Checks the effective configuration (and prints it), key file, state_dir, disk, tools, server and
 * key. Changes nothing on the node; sends the server one heartbeat. Exit status 0: ready; 78: a
 * person must fix something; 75: only temporary problems (the server is down). */
#ifndef AGENT_DOCTOR_H
#define AGENT_DOCTOR_H

#include "agent/base/config.h"

int doctor_run(const struct config *config, const char *config_path);

#endif
