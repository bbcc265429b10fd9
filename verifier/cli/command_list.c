#include "verifier/cli/command_list.h"

#include "base/clock.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "verifier/cli/command_operation.h"
#include "verifier/cli/job_print.h"
#include "verifier/store/store_list.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { LIMIT_DEFAULT = 100 };

/* "90s", "30m", "24h", "7d": so long ago. */
static bool parse_age(const char *text, int64_t *age_us)
{
    enum { AGE_MAX = 1000 * 1000 };
    static const struct {
        char letter;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    char number[16];
    size_t digits = strspn(text, "0123456789");
    if (digits >= sizeof number || strlen(text) != digits + 1)
        return false;
    snprintf(number, sizeof number, "%.*s", (int)digits, text);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (text[digits] == units[i].letter && command_parse_integer(number, 0, AGE_MAX, age_us)) {
            *age_us *= units[i].seconds * 1000000;
            return true;
        }
    return false;
}

static int parse_since(const char *text, char since[WALL_TEXT_BYTES], struct error *err)
{
    int64_t us;
    TEXT(day) = must_printf("%sT00:00:00Z", text);
    if (parse_age(text, &us))
        us = wall_us() - us;
    else if (!wall_parse(text, &us) && !wall_parse(day, &us))
        return error_set(err, ERROR_PERMANENT, EINVAL,
                         "--since %s: must be an age like 90s, 30m, 24h or 7d, a day like "
                         "2026-01-31, or a time like 2026-01-31T16:28:00Z",
                         text);
    wall_format(us, since);
    return 0;
}

static int parse_filter(const struct command *command, struct store_job_filter *filter,
                        char since[WALL_TEXT_BYTES], struct error *err)
{
    *filter = (struct store_job_filter){.status = command->failed ? "failed" : command->status,
                                        .worker = command->worker,
                                        .limit = LIMIT_DEFAULT};
    if (filter->status && !store_job_status_is_known(filter->status))
        return error_set(err, ERROR_PERMANENT, EINVAL,
                         "--status %s: must be pending, processing, ready or failed",
                         filter->status);
    if (command->failed && command->status && strcmp(command->status, "failed") != 0)
        return error_set(err, ERROR_PERMANENT, EINVAL, "--failed is --status failed: give one");
    if (command->limit && !command_parse_integer(command->limit, 1, STORE_JOBS_MAX, &filter->limit))
        return error_set(err, ERROR_PERMANENT, EINVAL, "--limit %s: must be 1 to %d",
                         command->limit, STORE_JOBS_MAX);
    if (!command->since)
        return 0;
    filter->since = since;
    return parse_since(command->since, since, err);
}

static int say_what_was_cut(struct store *store, const struct store_job_filter *filter,
                            struct error *err)
{
    int64_t all;
    if (store_job_count(store, filter, &all, err) != 0)
        return -1;
    fprintf(stderr, "showing %lld of %lld jobs, the newest; more with --limit\n",
            (long long)filter->limit, (long long)all);
    return 0;
}

static int print_json(struct store *store, const struct store_job_filter *filter, bool *more,
                      struct error *err)
{
    struct json *made;
    if (store_job_list_json(store, filter, &made, more, err) != 0)
        return -1;
    JSON(list) = made;
    json_show(list, stdout);
    return 0;
}

static int print_table(struct store *store, const struct store_job_filter *filter, bool *more,
                       struct error *err)
{
    CLEANUP(store_job_page_fini) struct store_job_page page = {0};
    if (store_job_list(store, filter, &page, err) != 0)
        return -1;
    *more = page.more;
    job_print_list(page.jobs, page.count, stdout);
    return 0;
}

int command_job_list(struct context *context, const struct command *command, struct error *err)
{
    struct store_job_filter filter;
    char since[WALL_TEXT_BYTES];
    bool more = false;
    if (parse_filter(command, &filter, since, err) != 0)
        return -1;
    if ((command->json ? print_json : print_table)(context->store, &filter, &more, err) != 0)
        return -1;
    return more ? say_what_was_cut(context->store, &filter, err) : 0;
}
