#include "verifier/cli/commands.h"
#include "verifier/cli/context.h"
#include "verifier/cli/status_print.h"

#include <stdio.h>
#include <stdlib.h>

int command_status(struct context *context, const struct command *command, struct error *err)
{
    struct status_view view = {.running = NULL, .workers = NULL};
    if (store_overview(context->store, &view.overview, err) != 0)
        return -1;
    int result = store_jobs_running(context->store, &view.running, &view.running_count, err);
    if (result == 0)
        result = store_worker_list(context->store, &view.workers, &view.worker_count, err);
    if (result == 0)
        command->json ? status_print_json(&view, stdout) : status_print(&view, stdout);
    store_workers_free(view.workers, view.worker_count);
    free(view.running);
    store_overview_fini(&view.overview);
    return result;
}
