/* show: the commands `status`, `spool ls` and `spool show`, for people and scripts.
 *
 * Prints what view has collected, as text or as JSON. Nothing that a server said can control the
 * terminal (base/text.h). Exit status 65: no such record. */
#ifndef AGENT_SHOW_H
#define AGENT_SHOW_H

#include "agent/base/config.h"

/* Each returns the exit status. */
int show_status(const struct config *config, bool as_json);
int show_spool(const struct config *config, bool as_json);
int show_record(const struct config *config, const char *id);

#endif
