/* step: carries one job from its claim to its sealed report, one process per job (command `step
 * DIR`).
 *
 * Sequential, blocking code on one record: the files say what is left to do, whatever an earlier
 * run did, and it continues until the record needs no step any more: claimed -> make an outcome;
 * transcoded -> upload the rest, seal; reopened -> upload again what the server lacks. A finished
 * transcode is never reported as a failure: if a server refuses it, the step tries again.
 *
 * Fatal (a sysexits code; the agent starts it again): the record cannot be read, locked or written.
 */
#ifndef AGENT_STEP_H
#define AGENT_STEP_H

#include "agent/base/config.h"

int step_main(const struct config *config, const char *record_path);

#endif
