/* show: the verbs `status` and `spool ls|show`: the spool as people, and scripts, read it.
 *
 * Reads the spool itself (SPOOL_READ: nothing is changed, no lock is taken) and adds what the
 * running agent has published in status.json. Works when no agent runs, and says so. */
#ifndef AGENT_SHOW_H
#define AGENT_SHOW_H

#include "config.h"

/* Each returns the exit status. */
int show_status(const struct config *config, bool as_json);
int show_watch(const struct config *config, bool as_json); /* once a second, until interrupted */
int show_spool(const struct config *config, bool as_json);
int show_record(const struct config *config, const char *id);

#endif
