/* command_operation: what an operator orders about a job: retry, cancel, delete, retranscode,
 * priority. */
#ifndef VERIFIER_COMMAND_OPERATION_H
#define VERIFIER_COMMAND_OPERATION_H

#include "verifier/cli/command.h"

command_action command_job_retry, command_job_cancel, command_job_delete, command_job_retranscode,
    command_job_priority;

/* A whole number, with a minus sign or without. */
bool command_parse_integer(const char *text, int64_t min, int64_t max, int64_t *value);

#endif
