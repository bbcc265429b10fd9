/* command: what all commands share. A command returns the process's exit status (sysexits). The ID
 * of what was added goes to stdout, alone on its line, as does requested output (list, show,
 * check); every other message goes to stderr. */
#ifndef VERIFIER_COMMAND_H
#define VERIFIER_COMMAND_H

#include "base/cli.h"
#include "verifier/base/config.h"
#include "verifier/files/files_watch.h"
#include "verifier/store/store.h"

#include <stdbool.h>

enum { STATUS_OK = 0, STATUS_DATA = 65, STATUS_NO_INPUT = 66 };

struct command {
    struct cli_line line;
    const char *key_file, *slug, *title, *overlap;
    const char *priority, *quality, *status, *worker, *since, *limit, *settled;
    bool json, sample, print, once, dry_run, adopt_directories, failed, files, link, remove;
};

/* What every command opens: the directories and the store. */
struct context {
    const struct verifier_config *config;
    struct files files;
    struct store *store;
    char files_reason[FILES_REASON_BYTES]; /* why files were not opened; "": not known */
};

/* files_open and store_open; the store checks these files. may_come_later: while the database
 * cannot be reached, requests are answered 503; exiting would let the supervisor give up during an
 * outage that ends by itself. */
int context_open(const struct verifier_config *config, bool may_come_later, struct context *context,
                 struct error *err);
/* Borrows from the configuration; without files. */
struct store_settings context_store_settings(const struct verifier_config *config);
/* For a command that only reads: without the directories, and without write access to the store. */
int context_open_reading(const struct verifier_config *config, struct context *context,
                         struct error *err);
/* As files_problem; where the directories were not opened, what is known about them. */
bool context_files_problem(const struct context *context, char reason[FILES_REASON_BYTES]);
void context_close(struct context *context);
/* See store_print_remedies. */
void context_print_remedies(const struct verifier_config *config, FILE *out);

typedef int command_function(const struct verifier_config *config, const struct command *command);
/* Commands that need the store and the directories. */
typedef int command_action(struct context *context, const struct command *command,
                           struct error *err);

/* Opens them, runs the action and prints an error, if any. */
int command_with_context(const struct verifier_config *config, const struct command *command,
                         command_action *action);
/* The same for an action that only reads. */
int command_reading(const struct verifier_config *config, const struct command *command,
                    command_action *action);

/* Prints the error and returns its exit status. */
int command_failed(const struct error *err);

#endif
