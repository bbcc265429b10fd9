#include "verifier/cli/command_job.h"

#include "verifier/base/number.h"
#include "verifier/cli/command_operation.h"
#include "verifier/cli/job_print.h"
#include "verifier/store/store_operation.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int command_parse_job(const struct command *command, int64_t *id, struct error *err)
{
    if (number_parse(command->line.argument, id) && *id > 0)
        return 0;
    return error_set(err, ERROR_PERMANENT, EINVAL, "'%s' is not a job ID", command->line.argument);
}

int command_no_such_job(int64_t id, struct error *err)
{
    return error_set(err, ERROR_PERMANENT, ENOENT, "there is no job %lld", (long long)id);
}

int command_parse_priority(const struct command *command, int64_t *priority, struct error *err)
{
    *priority = 0;
    if (!command->priority ||
        command_parse_integer(command->priority, -STORE_PRIORITY_MAX, STORE_PRIORITY_MAX, priority))
        return 0;
    return error_set(err, ERROR_PERMANENT, EINVAL, "--priority %s: must be %d to %d",
                     command->priority, -STORE_PRIORITY_MAX, STORE_PRIORITY_MAX);
}

int command_job_show(struct context *context, const struct command *command, struct error *err)
{
    struct store_details details;
    int64_t id;
    if (command_parse_job(command, &id, err) != 0 ||
        store_job_details(context->store, id, &details, err) != 0)
        return -1;
    if (!details.found)
        return command_no_such_job(id, err);
    command->json ? job_print_json(&details, stdout)
                  : job_print(&details, context->config->files.videos_dir, stdout);
    return 0;
}

int command_job_release(struct context *context, const struct command *command, struct error *err)
{
    enum store_release result;
    int64_t id;
    if (command_parse_job(command, &id, err) != 0 ||
        store_job_release(context->store, id, &result, err) != 0)
        return -1;
    switch (result) {
    case STORE_RELEASED:
        fprintf(stderr, "job %lld was released and can be claimed again\n", (long long)id);
        return 0;
    case STORE_RELEASE_UNCLAIMED:
        fprintf(stderr, "job %lld is not claimed\n", (long long)id);
        return 0;
    case STORE_RELEASE_COMPLETED:
        return error_set(err, ERROR_PERMANENT, EINVAL, "job %lld has ended and cannot be released",
                         (long long)id);
    case STORE_RELEASE_NO_JOB:
        break;
    }
    return command_no_such_job(id, err);
}
