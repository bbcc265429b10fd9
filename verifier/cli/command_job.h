/* command_job: jobs: add, show, release; and what commands about a job share. */
#ifndef VERIFIER_COMMAND_JOB_H
#define VERIFIER_COMMAND_JOB_H

#include "verifier/cli/command.h"

command_action command_job_show, command_job_release;

/* The argument as a job's ID. */
int command_parse_job(const struct command *command, int64_t *id, struct error *err);
int command_no_such_job(int64_t id, struct error *err); /* -1 */
/* --priority; 0 where it is not given. */
int command_parse_priority(const struct command *command, int64_t *priority, struct error *err);

#endif
