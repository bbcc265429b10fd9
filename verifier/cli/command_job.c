#include "verifier/cli/command_job.h"

#include "lib/cleanup.h"
#include "verifier/base/slug.h"
#include "verifier/cli/command_operation.h"
#include "verifier/cli/job_print.h"
#include "verifier/http/request.h"
#include "verifier/store/store_operation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct adding {
    struct files *files;
    const char *extension;
    char temp[64];
};

static int place(void *ctx, int64_t video_id, struct error *err)
{
    struct adding *adding = ctx;
    if (files_place_source(adding->files, adding->temp, video_id, adding->extension, err) != 0)
        return -1;
    adding->temp[0] = '\0';
    return 0;
}

static int open_source(const char *path, struct error *err)
{
    struct stat status;
    /* O_NONBLOCK: a pipe is refused, not waited for. */
    FD(fd) = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        error_errno(err, "%s", path);
        err->code = ENOENT;
        return -1;
    }
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        return error_set(err, ERROR_PERMANENT, EINVAL, "%s is not a regular file", path);
    return steal_fd(&fd);
}

/* The name without its directory and extension; it may be invalid UTF-8. */
static char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    return must_printf("%.*s", (int)(dot ? dot - name : (long)strlen(name)), name);
}

static int check_new(const struct command *command, const char *extension, struct error *err)
{
    if (!extension)
        return error_set(err, ERROR_PERMANENT, EINVAL, "%s: the file name must end in one of%s",
                         command->line.argument, FILES_SOURCE_EXTENSIONS);
    if (command->slug && (!slug_is_valid(command->slug) || strlen(command->slug) > SLUG_MAX_LENGTH))
        return error_set(err, ERROR_PERMANENT, EINVAL,
                         "--slug %s: must be letters, digits, dashes, underscores and dots, at "
                         "most %d of them, and not begin with a dash or dot",
                         command->slug, SLUG_MAX_LENGTH);
    if (command->title && strlen(command->title) >= STORE_TITLE_BYTES)
        return error_set(err, ERROR_PERMANENT, EINVAL, "--title: must be at most %d bytes",
                         STORE_TITLE_BYTES - 1);
    return 0;
}

/* The copy is durable before the job exists: a partial copy never becomes a job. */
int command_job_add(struct context *context, const struct command *command, struct error *err)
{
    const char *path = command->line.argument;
    TEXT(base) = base_of(path);
    struct adding adding = {.files = &context->files, .extension = files_source_extension(path)};
    int64_t priority;
    if (store_job_may_be_added(context->store, err) != 0 ||
        check_new(command, adding.extension, err) != 0 ||
        command_parse_priority(command, &priority, err) != 0)
        return -1;
    FD(from) = open_source(path, err);
    if (from < 0)
        return -1;
    struct store_new_job job = {.slug = command->slug,
                                .title = command->title,
                                .base = base,
                                .priority = priority,
                                .place = place,
                                .ctx = &adding};
    int result = files_copy_source(&context->files, from, adding.temp, err);
    if (result == 0)
        result = store_job_add(context->store, &job, err);
    files_drop_source(&context->files, adding.temp);
    if (result != 0)
        return -1;
    printf("%lld\n", (long long)job.job_id);
    fprintf(stderr, "job %lld, video %lld, slug %s\n", (long long)job.job_id,
            (long long)job.video_id, job.chosen_slug);
    return 0;
}

int command_parse_job(const struct command *command, int64_t *id, struct error *err)
{
    if (request_parse_number(command->line.argument, id) && *id > 0)
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
