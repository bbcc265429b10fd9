/* verbs: what the command line can do. A verb returns the process's exit status (sysexits). Ids go
 * to stdout, first and alone on their line where something was added; everything else that is said
 * goes to stderr, except what was asked for (list, show, check). */
#ifndef VERIFIER_VERBS_H
#define VERIFIER_VERBS_H

#include "base/cli.h"
#include "verifier/base/config.h"

#include <stdbool.h>

enum { STATUS_OK = 0, STATUS_DATA = 65, STATUS_NO_INPUT = 66 };

struct command {
    struct cli_line line;
    const char *key_file, *slug, *title, *overlap;
    bool json, sample, once, dry_run;
};

typedef int verb(const struct verifier_config *config, const struct command *command);
verb verb_serve, verb_check, verb_sweep;

/* What works on store and folders. */
struct context;
typedef int verb_action(struct context *context, const struct command *command, struct error *err);
verb_action verb_status;
verb_action verb_worker_add, verb_worker_list, verb_worker_rotate, verb_worker_revoke;
verb_action verb_job_add, verb_job_list, verb_job_show, verb_job_release;

/* Opens them, acts, says what went wrong. */
int verb_with_context(const struct verifier_config *config, const struct command *command,
                      verb_action *action);

/* Says what went wrong and gives the exit status for it. */
int verb_failed(const struct error *err);

#endif
