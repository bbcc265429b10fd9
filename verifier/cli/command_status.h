/* command_status: `status`: running jobs, workers, recent completions and releases with reasons.
 * Printing is pure but for the stream: ages are relative to the database's clock. */
#ifndef VERIFIER_COMMAND_STATUS_H
#define VERIFIER_COMMAND_STATUS_H

#include "verifier/cli/command.h"
#include "verifier/store/store_event.h"
#include "verifier/store/store_overview.h"

#include <stdio.h>

struct status_view {
    struct store_overview overview;
    struct store_job *running;
    size_t running_count;
    struct store_worker *workers;
    size_t worker_count;
    struct store_events events;
    bool has_webhook;
    char files_reason[FILES_REASON_BYTES]; /* "": nothing is wrong with the directories */
};

void status_print(const struct status_view *view, FILE *out);
void status_print_json(const struct status_view *view, FILE *out);

command_action command_status;

#endif
