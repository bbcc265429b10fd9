/* cli_help: what the parts of cli share. */
#ifndef TAILSLATE_CLI_HELP_H
#define TAILSLATE_CLI_HELP_H

#include "base/cli.h"

/* The program's commands, then the built-in ones; ends with NULL. */
const struct cli_command *cli_at(const struct cli *cli, size_t index);

/* Is `words` the full name, or the first of two words ("job"), of commands that are shown? */
bool cli_is_group(const struct cli *cli, const char *words);
bool cli_in_group(const struct cli_command *command, const char *group);

/* On stdout. group NULL: all commands. */
void cli_print_summary(const struct cli *cli, const char *group);
void cli_print_command(const struct cli *cli, const struct cli_command *command);
void cli_print_completion(const struct cli *cli);

#endif
