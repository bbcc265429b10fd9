/* job_print: jobs for people, and as JSON for programs. */
#ifndef VERIFIER_JOB_PRINT_H
#define VERIFIER_JOB_PRINT_H

#include "verifier/store/store_operator.h"

#include <stdio.h>

/* One line for each job, and below it why it failed or what it waits for. On a terminal lines are
 * cut to its width. */
void job_print_list(const struct store_job *jobs, size_t count, FILE *out);
void job_print(const struct store_details *details, const char *videos_dir, FILE *out);
void job_print_json(const struct store_details *details, FILE *out);

#endif
