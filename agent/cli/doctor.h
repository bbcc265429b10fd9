/* doctor: the verb `check`: is this node fit for work? Each finding says what to do about it.
 *
 * Looks at the effective configuration (and prints it), key file, state_dir, disk, tools, server
 * and key. Changes nothing on the node; the server is sent one heartbeat. Exit 0: fit; 78: a person
 * must put something right; 75: only something passing was found (the server is down). */
#ifndef AGENT_DOCTOR_H
#define AGENT_DOCTOR_H

#include "agent/base/config.h"

int doctor_run(const struct config *config, const char *config_path);

#endif
