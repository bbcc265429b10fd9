/* operate: the commands by which an operator gives orders: drain, undrain, pause, unpause, and
 * spool retry|hold|quarantine.
 *
 * Orders are files (order.h), so they work with the agent stopped too, and then say what will
 * happen. Beside a running agent a live record is never touched but for its order file: the agent
 * acts, and the verb waits at most OPERATE_WAIT_MS until it has. Without an agent the verb holds
 * the agent's lock while it moves a record. Exit status: 0 done, 65 no such record (or nothing in
 * it to be done), 69 no agent has ever worked here, 75 not yet (the order stands). */
#ifndef AGENT_OPERATE_H
#define AGENT_OPERATE_H

#include "agent/base/config.h"
#include "agent/spool/order.h"

enum { OPERATE_WAIT_MS = 10 * 1000, OPERATE_LOOK_MS = 20 };

int operate_room(const struct config *config, enum order order, bool is_given);
int operate_retry(const struct config *config, const char *id);
int operate_retry_all(const struct config *config);
int operate_hold(const struct config *config, const char *id);
int operate_quarantine(const struct config *config, const char *id);

#endif
