/* command_sweep: `sweep --once`: one sweep and one cleanup, now. */
#ifndef VERIFIER_COMMAND_SWEEP_H
#define VERIFIER_COMMAND_SWEEP_H

#include "verifier/cli/command.h"

command_function command_sweep;

#endif
