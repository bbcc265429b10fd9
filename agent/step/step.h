/* step: the wrap of one job, one process a job (verb `step DIR`).
 *
 * Straight-line blocking code over one record: whatever a former life left, the files say what is
 * to be done, and it is done until the record needs no step any more: claimed -> make an outcome;
 * transcoded -> upload the rest, seal; reopened -> upload again what the server misses. Nothing
 * about a finished transcode is ever reported as a failure: a server that refuses is asked again.
 *
 * Fatal (a sysexit; the agent starts it again): the record cannot be read, locked or written. */
#ifndef AGENT_STEP_H
#define AGENT_STEP_H

#include "agent/base/config.h"

int step_main(const struct config *config, const char *record_path);

#endif
