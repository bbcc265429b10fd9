/* command_check: what preflight.h finds, and the database and Redis, one finding a line on stdout.
 * The exit status is that of the worst: 0, 75 or 78. */
#ifndef VERIFIER_COMMAND_CHECK_H
#define VERIFIER_COMMAND_CHECK_H

#include "verifier/cli/command.h"

command_function command_check;

#endif
