/* commands: what the command line can do. A command returns the process's exit status (sysexits).
 * Ids go to stdout, first and alone on their line where something was added; everything else that
 * is said goes to stderr, except what was asked for (list, show, check). */
#ifndef VERIFIER_COMMANDS_H
#define VERIFIER_COMMANDS_H

#include "base/cli.h"
#include "verifier/base/config.h"

#include <stdbool.h>

enum { STATUS_OK = 0, STATUS_DATA = 65, STATUS_NO_INPUT = 66 };

struct command {
    struct cli_line line;
    const char *key_file, *slug, *title, *overlap;
    bool json, sample, once, dry_run;
};

typedef int command_function(const struct verifier_config *config, const struct command *command);
command_function command_serve, command_check, command_sweep;

/* Commands that need the store and the directories. */
struct context;
typedef int command_action(struct context *context, const struct command *command,
                           struct error *err);
command_action command_status;
command_action command_worker_add, command_worker_list, command_worker_rotate,
    command_worker_revoke;
command_action command_job_add, command_job_list, command_job_show, command_job_release;

/* Opens them, runs the action and prints an error, if any. */
int command_with_context(const struct verifier_config *config, const struct command *command,
                         command_action *action);

/* Prints the error and returns its exit status. */
int command_failed(const struct error *err);

#endif
