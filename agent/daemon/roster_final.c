/* How jobs ended: what of it `status` shows. */
#include "agent/daemon/node.h"
#include "base/clock.h"
#include "lib/cleanup.h"
#include "lib/durable.h"

#include <stdio.h>
#include <string.h>

void roster_note_final(struct node *node, int64_t job_id, const char *outcome, const char *reason)
{
    struct roster *roster = &node->roster;
    struct roster_final *final = &roster->finals[roster->final_count++ % ROSTER_FINALS_MAX];
    *final = (struct roster_final){.at_us = wall_us(), .job_id = job_id, .outcome = outcome};
    snprintf(final->reason, sizeof final->reason, "%s", reason);
}

#define FAILURES_NAME "failures.json"

static bool is_failure(const struct json *one)
{
    int64_t job_id;
    const char *text;
    return json_get_int(one, "job", 1, INT64_MAX, &job_id) == JSON_FOUND &&
           json_get_text(one, "reason", ROSTER_REASON_BYTES, &text) == JSON_FOUND &&
           json_get_text(one, "at", WALL_TEXT_BYTES, &text) == JSON_FOUND;
}

/* first, and then the valid ones of those before it. */
static struct json *list_failures(struct json *first, const struct json *former)
{
    struct json *list = json_new_array();
    if (first)
        json_append(list, first);
    for (const struct json *one = json_is_array(former) ? json_first(former) : NULL;
         one && json_count(list) < ROSTER_FAILURES_MAX; one = json_next(one))
        if (is_failure(one))
            json_append(list, json_copy(one));
    return list;
}

void roster_read_failures(struct node *node)
{
    TEXT(text) = NULL;
    size_t size;
    struct error ignored;
    if (durable_read(node->spool.state_dir, FAILURES_NAME, RECORD_FILE_MAX_BYTES, &text, &size,
                     &ignored) != 0)
        return;
    JSON(root) = json_parse(text, size, &ignored);
    json_free(node->roster.failures);
    node->roster.failures = list_failures(NULL, root);
}

void roster_note_failure(struct node *node, int64_t job_id, const char *reason)
{
    char at[WALL_TEXT_BYTES], first_line[ROSTER_REASON_BYTES];
    struct error ignored;
    struct json *one = json_new_object(), *former = node->roster.failures;
    wall_format(wall_us(), at);
    snprintf(first_line, sizeof first_line, "%.*s", (int)strcspn(reason, "\n"), reason);
    json_set_int(one, "job", job_id);
    json_set_text(one, "reason", first_line);
    json_set_text(one, "at", at);
    node->roster.failures = list_failures(one, former);
    json_free(former);
    TEXT(text) = json_print(node->roster.failures);
    (void)durable_write_volatile(node->spool.state_dir, FAILURES_NAME, text, strlen(text),
                                 &ignored);
    node_status_changed(node);
}
