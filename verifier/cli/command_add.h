/* command_add: `job add`: sources come in, one job for each. A file that is refused does not keep
 * the others out; a full disk or a database that is away ends it. */
#ifndef VERIFIER_COMMAND_ADD_H
#define VERIFIER_COMMAND_ADD_H

#include "verifier/cli/command.h"

enum {
    ADD_FILES_MAX = 100 * 1000, /* of one directory */
    ADD_PROGRESS_MS = 200,      /* between two updates of the line on a terminal */
};

command_action command_job_add;

#endif
