/* command_job: jobs: add, list, show, release. */
#ifndef VERIFIER_COMMAND_JOB_H
#define VERIFIER_COMMAND_JOB_H

#include "verifier/cli/command.h"

command_action command_job_add, command_job_list, command_job_show, command_job_release;

#endif
