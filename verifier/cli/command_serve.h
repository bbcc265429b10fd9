/* command_serve: the server. Refuses to start by what preflight.h finds. */
#ifndef VERIFIER_COMMAND_SERVE_H
#define VERIFIER_COMMAND_SERVE_H

#include "verifier/cli/command.h"

command_function command_serve;

#endif
