/* The parts of struct node that need no server: the roster and admission. */
#include "agent/base/config.h"
#include "agent/daemon/node.h"
#include "agent/daemon/outbox.h"
#include "base/clock.h"
#include "fixture.h"

#include <sys/stat.h>

struct rig {
    struct config config;
    struct node node;
};

static struct rig *rig_new(struct spool spool)
{
    static const struct roster_owner *const owners[] = {&admission_owner, &outbox_owner};
    struct rig *rig = must_calloc(1, sizeof *rig);
    struct error err;
    OK(agent_config_load(NULL, &rig->config, &err), err);
    rig->node = (struct node){.config = &rig->config, .spool = spool, .epoll = -1, .inotify = -1};
    roster_init(&rig->node, owners, 2);
    return rig;
}

static void rig_free(struct rig *rig)
{
    while (rig->node.roster.first)
        roster_forget(rig->node.roster.first);
    free(rig);
}

static void put_record(struct rig *rig, int64_t job_id, char id[SPOOL_ID_BYTES])
{
    struct error err;
    struct record_claim claim = fixture_claim(job_id, FIXTURE_UUID);
    OK(spool_add(&rig->node.spool, &claim, id, &err), err);
}

static struct live *add_record(struct rig *rig, int64_t job_id)
{
    char id[SPOOL_ID_BYTES];
    struct error err;
    put_record(rig, job_id, id);
    struct live *live = roster_add(&rig->node, id, &err);
    cr_assert(live, "%s", err.message);
    return live;
}

static void fail_because_of_the_node(struct rig *rig, const char *id)
{
    struct message_failure failure = {.retry = true, .reason = "no device"};
    struct error err;
    FD(dir) = spool_open_record(rig->node.spool.live, id, &err);
    record_note_fault(dir, "no device");
    OK(record_seal_failure(dir, &failure, &err), err);
}

static void expect_reason(const struct rig *rig, const char *text)
{
    TEXT(why) = admission_explain(&rig->node, mono_ms());
    cr_expect_str_eq(why ? why : "none", text);
}

Test(admission, the_most_important_reason_is_shown_and_the_others_remain)
{
    SCRATCH(scratch);
    SPOOL(spool, scratch);
    struct rig *rig = rig_new(spool);
    expect_reason(rig, "none");
    cr_expect(admission_set(&rig->node, ADMISSION_DISK_LOW, true));
    cr_expect(admission_set(&rig->node, ADMISSION_DRAINED, true));
    cr_expect(!admission_set(&rig->node, ADMISSION_DRAINED, true), "this is no change");
    expect_reason(rig, "drained by an operator");
    cr_expect(admission_set(&rig->node, ADMISSION_DRAINED, false));
    expect_reason(rig, "this node's disk is nearly full");
    rig_free(rig);
}

Test(admission, a_change_is_published_once)
{
    SCRATCH(scratch);
    SPOOL(spool, scratch);
    struct rig *rig = rig_new(spool);
    admission_set(&rig->node, ADMISSION_PAUSED, true);
    cr_expect(node_take_status_change(&rig->node));
    admission_set(&rig->node, ADMISSION_PAUSED, true);
    cr_expect(!node_take_status_change(&rig->node));
    rig_free(rig);
}

Test(admission, two_failures_in_a_row_that_this_node_caused_suspend_claims)
{
    SCRATCH(scratch);
    SPOOL(spool, scratch);
    struct rig *rig = rig_new(spool);
    struct error err;
    for (int64_t job_id = 7; job_id <= 8; job_id++) {
        expect_reason(rig, "none");
        struct live *live = add_record(rig, job_id);
        fail_because_of_the_node(rig, live->id);
        OK(roster_refresh(live, &err), err);
        cr_expect(live->delivery.is_failure, "the outbox was not told");
    }
    expect_reason(rig, "recent jobs failed because of this node: no device");
    admission_set(&rig->node, ADMISSION_DRAINED, true);
    expect_reason(rig, "drained by an operator");
    admission_reset_faults(&rig->node);
    admission_set(&rig->node, ADMISSION_DRAINED, false);
    expect_reason(rig, "none");
    rig_free(rig);
}

Test(admission, failures_that_an_earlier_run_has_counted_do_not_count)
{
    SCRATCH(scratch);
    SPOOL(spool, scratch);
    struct rig *rig = rig_new(spool);
    struct error err;
    for (int64_t job_id = 7; job_id <= 9; job_id++) {
        char id[SPOOL_ID_BYTES];
        put_record(rig, job_id, id);
        fail_because_of_the_node(rig, id);
    }
    OK(roster_read(&rig->node, &err), err);
    cr_expect_eq(roster_count_state(&rig->node, JOB_FAILED), 3);
    expect_reason(rig, "none");
    rig_free(rig);
}

Test(admission, a_step_that_waits_for_the_disk_blocks_claims_until_it_is_gone)
{
    SCRATCH(scratch);
    SPOOL(spool, scratch);
    struct rig *rig = rig_new(spool);
    struct live *live = add_record(rig, 7);
    struct error err;
    FD(dir) = roster_open(live, &err);
    record_note_waiting(dir, 1000);
    OK(roster_refresh(live, &err), err);
    expect_reason(rig, "a job is waiting for space on this node's disk");
    roster_forget(live);
    expect_reason(rig, "none");
    rig_free(rig);
}

Test(roster, the_spool_is_read_without_adding_a_record_twice)
{
    SCRATCH(scratch);
    SPOOL(spool, scratch);
    struct rig *rig = rig_new(spool);
    char id[SPOOL_ID_BYTES];
    struct error err;
    add_record(rig, 7);
    put_record(rig, 8, id);
    OK(roster_read(&rig->node, &err), err);
    OK(roster_read(&rig->node, &err), err);
    cr_expect_eq(roster_count(&rig->node), 2);
    cr_expect_eq(roster_slots_held(&rig->node), 2);
    rig_free(rig);
}

Test(roster, a_new_claim_ends_every_wait_of_the_report)
{
    SCRATCH(scratch);
    SPOOL(spool, scratch);
    struct rig *rig = rig_new(spool);
    struct live *live = add_record(rig, 7);
    struct record_outcome outcome = fixture_outcome();
    struct record_claim claim = fixture_claim(7, FIXTURE_NEXT);
    struct error err;
    FD(dir) = roster_open(live, &err);
    OK(record_commit_outcome(dir, &outcome, &err), err);
    OK(record_seal_completion(dir, &err), err);
    OK(roster_refresh(live, &err), err);
    outbox_postpone(live, DELIVERY_HOLD, 3600 * 1000, "refused", NULL);
    cr_expect(live->delivery.is_held);
    claim.claim.claim_epoch++;
    OK(roster_rebind(live, &claim, &err), err);
    cr_expect_str_eq(live->token, claim.token);
    cr_expect_eq(live->claim_epoch, claim.claim.claim_epoch);
    cr_expect(!live->delivery.is_held);
    cr_expect_eq(outbox_first(&rig->node), live);
    cr_expect_eq(live->delivery.due.at_ms, 0);
    rig_free(rig);
}

Test(roster, the_last_five_failures_are_known_after_a_restart_the_newest_first)
{
    SCRATCH(scratch);
    SPOOL(spool, scratch);
    struct rig *rig = rig_new(spool);
    for (int64_t job_id = 1; job_id <= ROSTER_FAILURES_MAX + 2; job_id++)
        roster_note_failure(&rig->node, job_id, "no video stream\nits log");
    json_free(rig->node.roster.failures);
    rig->node.roster.failures = NULL;
    roster_read_failures(&rig->node);
    const struct json *failures = rig->node.roster.failures;
    cr_assert_eq(json_count(failures), ROSTER_FAILURES_MAX);
    int64_t job_id = 0;
    json_get_int(json_first(failures), "job", 0, 100, &job_id);
    cr_expect_eq(job_id, ROSTER_FAILURES_MAX + 2);
    cr_expect_str_eq(json_text(json_get(json_first(failures), "reason")), "no video stream");
    json_free(rig->node.roster.failures);
    rig_free(rig);
}

Test(roster, a_file_of_failures_that_is_none_is_ignored)
{
    SCRATCH(scratch);
    SPOOL(spool, scratch);
    struct rig *rig = rig_new(spool);
    fixture_write(spool.state_dir, "failures.json", "[1,{\"job\":\"x\"},{\"job\":2}]");
    roster_read_failures(&rig->node);
    cr_expect_eq(json_count(rig->node.roster.failures), 0);
    json_free(rig->node.roster.failures);
    rig_free(rig);
}

Test(roster, a_change_of_one_record_marks_that_record_alone)
{
    SCRATCH(scratch);
    SPOOL(spool, scratch);
    struct rig *rig = rig_new(spool);
    struct error err;
    struct live *first = add_record(rig, 7), *second = add_record(rig, 8);
    node_record_read(first);
    node_record_read(second);
    fail_because_of_the_node(rig, second->id);
    OK(roster_refresh(second, &err), err);
    cr_expect_eq(due_first(&rig->node.changes), second);
    cr_expect_eq(rig->node.changes.count, 1);
    cr_expect_not(node_take_control_change(&rig->node), "every record would be read");
    rig_free(rig);
}

Test(roster, a_success_wakes_the_reports_that_were_postponed_since_the_last_one)
{
    SCRATCH(scratch);
    SPOOL(spool, scratch);
    struct rig *rig = rig_new(spool);
    struct error err;
    struct live *live = add_record(rig, 7);
    fail_because_of_the_node(rig, live->id);
    OK(roster_refresh(live, &err), err);
    int64_t now_ms = mono_ms();
    outbox_postpone(live, DELIVERY_AGAIN, 3600 * 1000, "refused", NULL);
    live->delivery.floor_ms = 0;
    cr_assert_gt(live->delivery.due.at_ms, now_ms + 1000 * 1000);
    outbox_wake_waiting(&rig->node, now_ms);
    cr_expect_leq(live->delivery.due.at_ms, now_ms + 1000 * 1000);
    outbox_cancel(live, now_ms + 1000 * 1000);
    outbox_wake_waiting(&rig->node, now_ms);
    cr_expect_eq(live->delivery.due.at_ms, now_ms + 1000 * 1000, "nothing was postponed meanwhile");
    rig_free(rig);
}

static void set_sealed(const struct live *live, time_t sealed_s)
{
    struct timespec times[] = {{.tv_sec = sealed_s}, {.tv_sec = sealed_s}};
    struct error err;
    FD(dir) = roster_open(live, &err);
    cr_assert_eq(utimensat(dir, "failure.json", times, 0), 0);
}

/* It is postponed. */
static struct live *add_report(struct rig *rig, int64_t job_id, time_t sealed_s)
{
    struct live *live = add_record(rig, job_id);
    struct error err;
    fail_because_of_the_node(rig, live->id);
    set_sealed(live, sealed_s);
    OK(roster_refresh(live, &err), err);
    outbox_postpone(live, DELIVERY_AGAIN, 3600 * 1000, "refused", NULL);
    live->delivery.floor_ms = 0;
    return live;
}

Test(roster, the_report_that_was_sealed_first_is_presented_first_when_the_server_is_back)
{
    SCRATCH(scratch);
    SPOOL(spool, scratch);
    struct rig *rig = rig_new(spool);
    const struct live *second = add_report(rig, 7, 2000), *third = add_report(rig, 8, 3000),
                      *first = add_report(rig, 9, 1000), *order[] = {first, second, third};
    int64_t now_ms = mono_ms();
    outbox_wake_waiting(&rig->node, now_ms);
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        struct live *next = outbox_first(&rig->node);
        cr_expect_eq(next, order[i], "job %lld", (long long)next->job_id);
        cr_expect_leq(next->delivery.due.at_ms, now_ms + 200, "later than the rate limit asks");
        outbox_cancel(next, now_ms + 3600 * 1000);
    }
    rig_free(rig);
}
