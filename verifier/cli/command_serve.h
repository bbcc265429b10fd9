/* command_serve: the server, and the check of what it needs. */
#ifndef VERIFIER_COMMAND_SERVE_H
#define VERIFIER_COMMAND_SERVE_H

#include "verifier/cli/command.h"

command_function command_serve, command_check;

#endif
