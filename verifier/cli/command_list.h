/* command_list: `job list`. */
#ifndef VERIFIER_COMMAND_LIST_H
#define VERIFIER_COMMAND_LIST_H

#include "verifier/cli/command.h"

command_action command_job_list;

#endif
