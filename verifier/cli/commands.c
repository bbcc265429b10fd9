#include "verifier/cli/commands.h"

#include "verifier/cli/context.h"
#include "verifier/db/db.h"

#include <errno.h>
#include <stdio.h>

int command_failed(const struct error *err)
{
    fprintf(stderr, "tailslate-verifier: %s\n", err->message);
    return error_exit_status(err);
}

/* What was given is wrong, as opposed to the configuration or the machine. */
static int status_of(const struct error *err)
{
    int status = command_failed(err);
    if (err->code == ENOENT)
        return STATUS_NO_INPUT;
    return err->code == EINVAL || err->code == DB_CONFLICT ? STATUS_DATA : status;
}

int command_with_context(const struct verifier_config *config, const struct command *command,
                         command_action *action)
{
    struct context context;
    struct error err;
    if (context_open(config, false, &context, &err) != 0)
        return command_failed(&err);
    int result = action(&context, command, &err);
    context_close(&context);
    return result == 0 ? STATUS_OK : status_of(&err);
}
