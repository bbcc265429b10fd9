/* command_worker: workers and their keys: add, list, rotate, revoke. */
#ifndef VERIFIER_COMMAND_WORKER_H
#define VERIFIER_COMMAND_WORKER_H

#include "verifier/cli/command.h"

command_action command_worker_add, command_worker_list, command_worker_rotate,
    command_worker_revoke;

#endif
