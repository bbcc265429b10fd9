/* verbs: what the command line can do. Each returns the process's exit status (sysexits). Ids go to
 * stdout, first and alone on their line where something was added; everything else that is said
 * goes to stderr, except what was asked for (list, show, check). */
#ifndef VERIFIER_VERBS_H
#define VERIFIER_VERBS_H

#include "config.h"

#include <stdbool.h>

enum { STATUS_OK = 0, STATUS_USAGE = 64, STATUS_DATA = 65, STATUS_NO_INPUT = 66 };

struct command {
    const char *config_path;
    const char *words[4]; /* verb, action, what it acts on */
    int word_count;
    const char *key_file, *slug, *title;
    bool json, sample;
};

int verb_serve(const struct verifier_config *config);
int verb_check(const struct verifier_config *config);
int verb_worker(const struct verifier_config *config, const struct command *command);
int verb_job(const struct verifier_config *config, const struct command *command);

/* Says what went wrong and gives the exit status for it. */
int verb_failed(const struct error *err);

#endif
