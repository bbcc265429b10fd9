/* operate: the operator's control commands: drain, undrain, pause, unpause, and spool
 * retry|hold|quarantine.
 *
 * Requests are control files (control_file.h), so they also work while the agent is stopped; the
 * command then says what will happen. While an agent is running, a command only creates the control
 * file of a live record; the agent acts, and the command waits up to OPERATE_WAIT_MS for it.
 * Without an agent, the command holds the agent's lock while it moves a record. Exit status: 0
 * done, 65 no such record (or nothing to do in it), 69 no agent has ever run here, 75 not yet (the
 * request stays in effect). */
#ifndef AGENT_OPERATE_H
#define AGENT_OPERATE_H

#include "agent/base/config.h"
#include "agent/spool/control_file.h"

enum { OPERATE_WAIT_MS = 10 * 1000, OPERATE_CHECK_MS = 20 };

int operate_node(const struct config *config, enum control_file control, bool is_given);
int operate_retry(const struct config *config, const char *id);
int operate_retry_all(const struct config *config);
int operate_hold(const struct config *config, const char *id);
int operate_quarantine(const struct config *config, const char *id);

#endif
