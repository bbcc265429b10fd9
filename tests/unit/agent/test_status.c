/* What the agent publishes for `status`, and that `status` can read it. */
#include "agent/cli/view.h"
#include "agent/daemon/status.h"
#include "fixture.h"

static struct live *hold(struct node *node, int64_t job_id, const char *reason)
{
    struct live *live = must_calloc(1, sizeof *live);
    live->node = node;
    live->job_id = job_id;
    live->state = JOB_SEALED;
    live->step.pidfd = live->watch = -1;
    live->courier.attempts = 1000;
    snprintf(live->id, sizeof live->id, "%lld.1", (long long)job_id);
    snprintf(live->delivery.reason, sizeof live->delivery.reason, "%s", reason);
    live->next = node->roster.first;
    node->roster.first = live;
    return live;
}

static void let_go(struct node *node)
{
    for (struct live *live = node->roster.first, *next; live; live = next) {
        next = live->next;
        free(live);
    }
}

Test(status, a_full_spool_can_be_published_and_read)
{
    SCRATCH(scratch);
    SPOOL(spool, scratch);
    static struct config config;
    struct error err;
    OK(agent_config_load(NULL, &config, &err), err);
    struct node node = {.config = &config, .spool = spool};
    struct heartbeat heartbeat = {.node = &node};
    struct claim claim = {.node = &node};
    struct status status = {.node = &node, .heartbeat = &heartbeat, .claim = &claim};
    char reason[ROSTER_REASON_BYTES];
    memset(reason, 'x', sizeof reason - 1);
    reason[sizeof reason - 1] = '\0';
    for (int64_t job_id = 1; job_id <= SPOOL_RECORDS_MAX; job_id++)
        hold(&node, job_id, reason);
    status_publish(&status);
    JSON(root) = status_read(spool.state_dir);
    cr_assert(root, "it was not published, or is too large to be read");
    cr_expect_eq(json_count(json_get(root, "records")), SPOOL_RECORDS_MAX);
    let_go(&node);
}

/* With a search through the list for each record, this takes minutes. */
Test(status, a_view_finds_what_is_published_about_each_of_many_records, .timeout = 60)
{
    enum { RECORDS = 1500 };
    SCRATCH(scratch);
    SPOOL(spool, scratch);
    static struct config config;
    struct error err;
    OK(agent_config_load(NULL, &config, &err), err);
    snprintf(config.node.state_dir, sizeof config.node.state_dir, "%s", scratch.path);
    struct node node = {.config = &config, .spool = spool};
    struct heartbeat heartbeat = {.node = &node};
    struct claim claim = {.node = &node};
    struct status status = {.node = &node, .heartbeat = &heartbeat, .claim = &claim};
    for (int64_t job_id = 1; job_id <= RECORDS; job_id++) {
        char id[SPOOL_ID_BYTES];
        struct record_claim given = fixture_claim(job_id, FIXTURE_UUID);
        OK(spool_add(&spool, &given, id, &err), err);
        hold(&node, job_id, "no answer");
    }
    status_publish(&status);
    struct view view;
    OK(view_open(&view, &config, &err), err);
    const struct json *rows = json_get(view.root, "jobs");
    cr_expect_eq(json_count(rows), RECORDS);
    for (const struct json *row = json_first(rows); row; row = json_next(row))
        cr_expect_str_eq(view_text(row, "reason", "nothing"), "no answer");
    view_close(&view);
    let_go(&node);
}
