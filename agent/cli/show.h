/* show: the verbs `status`, `spool ls` and `spool show`: a node as people, and scripts, read it.
 *
 * Prints what view has collected, as JSON or for people; nothing that a server said can drive the
 * terminal (plain.h). Exit status: 65 where there is no such record. */
#ifndef AGENT_SHOW_H
#define AGENT_SHOW_H

#include "agent/base/config.h"

/* Each returns the exit status. */
int show_status(const struct config *config, bool as_json);
int show_spool(const struct config *config, bool as_json);
int show_record(const struct config *config, const char *id);

#endif
