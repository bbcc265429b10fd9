#include "verifier/cli/command_operation.h"

#include "verifier/base/number.h"
#include "verifier/cli/command_job.h"
#include "verifier/store/store_operation.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool command_parse_integer(const char *text, int64_t min, int64_t max, int64_t *value)
{
    bool is_negative = text[0] == '-';
    if (!number_parse(text + is_negative, value))
        return false;
    *value = is_negative ? -*value : *value;
    return *value >= min && *value <= max;
}

/* 0: it was done, and the caller says so. */
static int check(int64_t job_id, const struct store_operated *result, struct error *err)
{
    if (!result->refused)
        return 0;
    if (result->was == STORE_JOB_NONE)
        return command_no_such_job(job_id, err);
    return error_set(err, ERROR_PERMANENT, EINVAL, "job %lld: %s", (long long)job_id,
                     result->refused);
}

/* Batch by batch, so that a server beside it is not kept waiting. */
static int retry_failed(struct store *store, struct error *err)
{
    int64_t after = 0, before = -1, all = 0, count;
    bool shows = isatty(STDERR_FILENO);
    while (after != before) {
        before = after;
        if (store_job_retry_failed(store, &after, &count, err) != 0)
            return all == 0 ? -1 : error_wrap(err, "after %lld jobs", (long long)all);
        all += count;
        if (shows && after != before)
            fprintf(stderr, "\r%lld jobs", (long long)all);
    }
    fprintf(stderr, "%s%lld failed job%s wait%s for a worker again\n", shows && all ? "\r" : "",
            (long long)all, all == 1 ? "" : "s", all == 1 ? "s" : "");
    return 0;
}

int command_job_retry(struct context *context, const struct command *command, struct error *err)
{
    struct store_operated result;
    int64_t id;
    if (command->failed)
        return retry_failed(context->store, err);
    if (command_parse_job(command, &id, err) != 0 ||
        store_job_retry(context->store, id, &result, err) != 0 || check(id, &result, err) != 0)
        return -1;
    fprintf(stderr, "job %lld (%s) waits for a worker again\n", (long long)id, result.slug);
    return 0;
}

int command_job_cancel(struct context *context, const struct command *command, struct error *err)
{
    struct store_operated result;
    int64_t id;
    if (command_parse_job(command, &id, err) != 0 ||
        store_job_cancel(context->store, id, &result, err) != 0 || check(id, &result, err) != 0)
        return -1;
    fprintf(stderr, "job %lld (%s) is cancelled", (long long)id, result.slug);
    if (result.was == STORE_JOB_CLAIMED)
        fprintf(stderr, "; worker %s stops it at its next report", result.worker_name);
    fputc('\n', stderr);
    return 0;
}

int command_job_delete(struct context *context, const struct command *command, struct error *err)
{
    struct store_operated result;
    int64_t id;
    if (command_parse_job(command, &id, err) != 0 ||
        store_job_delete(context->store, id, command->files, &result, err) != 0 ||
        check(id, &result, err) != 0)
        return -1;
    fprintf(stderr, "job %lld (%s) is deleted%s\n", (long long)id, result.slug,
            command->files ? "; its files are in the trash" : "; its files are where they were");
    return 0;
}

/* "720p,480p" */
static int parse_qualities(const char *text, tailslate_quality_set *qualities, struct error *err)
{
    *qualities = 0;
    for (const char *at = text; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        char name[16];
        enum tailslate_quality quality;
        snprintf(name, sizeof name, "%.*s", (int)strcspn(at, ","), at);
        if (!tailslate_quality_parse(name, &quality))
            return error_set(err, ERROR_PERMANENT, EINVAL,
                             "--quality %s: must be renditions, separated by commas: 2160p 1440p "
                             "1080p 720p 480p 360p original",
                             text);
        *qualities |= 1u << quality;
    }
    return 0;
}

int command_job_retranscode(struct context *context, const struct command *command,
                            struct error *err)
{
    struct store_operated result;
    tailslate_quality_set qualities;
    int64_t id;
    if (command_parse_job(command, &id, err) != 0 ||
        parse_qualities(command->quality, &qualities, err) != 0 ||
        store_job_retranscode(context->store, id, qualities, &result, err) != 0 ||
        check(id, &result, err) != 0)
        return -1;
    fprintf(stderr,
            "job %lld (%s) waits for a worker again; until then its video plays as before\n",
            (long long)id, result.slug);
    return 0;
}

int command_job_priority(struct context *context, const struct command *command, struct error *err)
{
    struct store_operated result;
    int64_t id, priority;
    if (command_parse_job(command, &id, err) != 0 ||
        command_parse_priority(command, &priority, err) != 0 ||
        store_job_set_priority(context->store, id, priority, &result, err) != 0 ||
        check(id, &result, err) != 0)
        return -1;
    fprintf(stderr, "job %lld (%s) has priority %lld\n", (long long)id, result.slug,
            (long long)priority);
    return 0;
}
