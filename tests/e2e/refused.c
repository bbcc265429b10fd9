/* Finished work that a server will not have: another worker has completed the job, or its row is
 * gone. It is asked about ever more seldom, shown with what ends it, and set aside whole after
 * retry.hold_days; never dropped, and never for a reason that all records share. */
#include "base/clock.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "rig.h"
#include "scripted.h"

#include <criterion/criterion.h>
#include <string.h>

#define NOT_YOURS "403 {\"detail\":\"Not your job\"}"
#define NO_ROW    "404 {\"detail\":\"Job not found\"}"
#define SECONDS_2 "0.000023" /* in days */

static struct rig *with_refusals(const char *completions, const char *hold_days)
{
    struct rig *rig = rig_new();
    peer_set_upstream(rig_put_peer_between(rig), 0);
    scripted_server(rig->peer, SCRIPTED_STOCK_CLAIM "; " SCRIPTED_NO_JOB, completions);
    peer_script(rig->peer, "POST *claim?*job_id=7*", SCRIPTED_NO_JOB);
    if (hold_days)
        rig_agent_set(rig, "retry.hold_days", hold_days);
    return rig;
}

static void is_set_aside_whole(struct rig *rig, const char *reason)
{
    char line[LINE_BYTES];
    rig_expect(rig, "event=job.final outcome=quarantined job=7", RIG_JOB_MS, line);
    cr_assert(strstr(line, "refused for") && strstr(line, reason), "%s", line);
    inspect_wait_spool(rig, "quarantine", 1, RIG_START_MS);
    cr_assert_eq(inspect_spool_count(rig, "spool"), 0);
    TEXT(record) = inspect_record(rig, "quarantine");
    static const char *const files[] = {"outcome.json", "output/360p/init.mp4",
                                        "output/master.m3u8"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        TEXT(path) = must_printf("%s/%s", record, files[i]);
        cr_assert(inspect_wait_file(path, true, 0), "%s is gone", path);
    }
    RUN(ls) = rig_agent(rig, (const char *[]){"spool", "ls", NULL});
    cr_assert(strstr(ls.out, "quarantine") && strstr(ls.out, reason), "%s", ls.out);
}

/* The operator's command, and a server that will have it now. */
static void comes_back(struct rig *rig)
{
    peer_script(rig->peer, "POST *segment/finalize", SCRIPTED_FINALIZED);
    peer_script(rig->peer, "POST *complete", "200 stock-ack");
    RUN(retry) = rig_agent(rig, (const char *[]){"spool", "retry", "7.1", NULL});
    cr_assert_eq(retry.status, 0, "%s", retry.err);
    rig_expect(rig, "event=job.final outcome=completed job=7", RIG_JOB_MS, NULL);
    inspect_wait_spool(rig, "spool", 0, RIG_START_MS);
    inspect_spool_empty(rig);
    cr_assert_eq(rig_count_lines(rig, "event=step.transcoder_started"), 1, "it was done again");
    rig_end(rig);
}

Test(refused, what_another_worker_has_completed_is_set_aside_and_comes_back, .timeout = 120)
{
    struct rig *rig = with_refusals(NOT_YOURS, SECONDS_2);
    rig_start_agent(rig);
    is_set_aside_whole(rig, "the job cannot be claimed again");
    comes_back(rig);
}

Test(refused, a_job_whose_row_is_gone_is_set_aside_and_comes_back, .timeout = 180)
{
    static const char *const answers[] = {NO_ROW, "403 code=not_your_job"};
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct rig *rig = with_refusals(answers[i], SECONDS_2);
        rig_start_agent(rig);
        is_set_aside_whole(rig, i == 0 ? "Job not found" : "scripted");
        comes_back(rig);
    }
}

Test(refused, an_upload_is_set_aside_and_comes_back_like_a_report, .timeout = 120)
{
    struct rig *rig = with_refusals("200 stock-ack", SECONDS_2);
    peer_script(rig->peer, "POST *segment/finalize", NOT_YOURS "; " NO_ROW "; " NOT_YOURS);
    rig_start_agent(rig);
    is_set_aside_whole(rig, "");
    cr_assert_eq(rig_count_lines(rig, "level=error event=step.not_reclaimed"), 1, "said once");
    cr_assert_eq(rig_count_lines(rig, "level=error event=step.server_trouble"), 0, "said twice");
    comes_back(rig);
}

Test(refused, it_is_shown_with_its_reason_and_what_ends_it, .timeout = 120)
{
    struct rig *rig = with_refusals("200 stock-ack", NULL);
    peer_script(rig->peer, "POST *segment/finalize", NO_ROW);
    rig_start_agent(rig);
    inspect_wait_status(rig, NULL, "refused for", RIG_JOB_MS);
    static const char *const words[] = {"REFUSED", "HTTP 404: Job not found", "set aside in 6 days",
                                        "`spool quarantine 7.1`", "`spool retry 7.1`"};
    RUN(status) = rig_agent(rig, (const char *[]){"status", NULL});
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        cr_assert(strstr(status.out, words[i]), "no %s in %s", words[i], status.out);
    inspect_wait_status(rig, "--json", "\"set_aside_at\"", RIG_START_MS);
    /* A step that sits out a refusal for minutes hears of the order all the same. */
    peer_script(rig->peer, "POST *segment/finalize", SCRIPTED_FINALIZED);
    RUN(retry) = rig_agent(rig, (const char *[]){"spool", "retry", "7.1", NULL});
    cr_assert_eq(retry.status, 0, "%s", retry.err);
    rig_expect(rig, "event=job.final outcome=completed job=7", RIG_JOB_MS, NULL);
    rig_end(rig);
}

Test(refused, what_all_records_share_is_never_a_reason, .timeout = 120)
{
    struct rig *rig = with_refusals("401 {\"detail\":\"Invalid API key\"}; 403 code=forbidden; "
                                    "404 code=not_found; html 404; 429; 503",
                                    "0.000001");
    rig_start_agent(rig);
    peer_wait(rig->peer, "POST *complete", 7, RIG_JOB_MS);
    cr_assert_eq(inspect_spool_count(rig, "spool"), 1, "it was set aside");
    TEXT(record) = inspect_record(rig, "spool");
    TEXT(note) = must_printf("%s/refused.json", record);
    cr_assert(inspect_wait_file(note, false, 0), "one of them counts as a refusal");
    rig_stop_agent(rig);
    rig_end(rig);
}

Test(refused, zero_days_are_for_ever, .timeout = 120)
{
    struct rig *rig = with_refusals(NO_ROW, "0");
    rig_start_agent(rig);
    peer_wait(rig->peer, "POST *complete", 4, RIG_JOB_MS);
    RUN(status) = rig_agent(rig, (const char *[]){"status", NULL});
    cr_assert(strstr(status.out, "never set aside automatically"), "%s", status.out);
    cr_assert_eq(inspect_spool_count(rig, "spool"), 1);
    rig_stop_agent(rig);
    rig_end(rig);
}

/* ---- the time is the disk's ---- */

static void refused_days_ago(const struct rig *rig, int days)
{
    char since[WALL_TEXT_BYTES], at[WALL_TEXT_BYTES];
    TEXT(record) = inspect_record(rig, "spool");
    TEXT(path) = must_printf("%s/refused.json", record);
    cr_assert(inspect_wait_file(path, true, RIG_JOB_MS), "no refusal was written down");
    wall_format(wall_us() - days * INT64_C(86400000000), since);
    wall_format(wall_us(), at);
    TEXT(text) = must_printf("{\"since\":\"%s\",\"at\":\"%s\",\"reason\":\"before\"}", since, at);
    file_write(path, text, 0600);
}

static struct rig *refused_for_days(int days)
{
    struct rig *rig = with_refusals(NO_ROW, NULL);
    rig_start_agent(rig);
    rig_expect(rig, "event=delivery.refused verdict=hold", RIG_JOB_MS, NULL);
    rig_stop_agent(rig);
    refused_days_ago(rig, days);
    return rig;
}

Test(refused, the_days_count_over_restarts_and_the_next_refusal_is_the_last, .timeout = 120)
{
    struct rig *rig = refused_for_days(8);
    int told = peer_count(rig->peer, "POST *complete");
    rig_start_agent(rig);
    is_set_aside_whole(
        rig, "refused for 8.0 days: the server does not know this job: HTTP 404: Job not found");
    cr_assert_eq(peer_count(rig->peer, "POST *complete"), told + 1);
    comes_back(rig);
}

Test(refused, a_server_that_has_come_to_its_senses_is_asked_once_more_first, .timeout = 120)
{
    struct rig *rig = refused_for_days(8);
    peer_script(rig->peer, "POST *complete", "200 stock-ack");
    rig_start_agent(rig);
    rig_wait_final(rig, 7);
    cr_assert_eq(rig_count_lines(rig, "event=job.final outcome=completed"), 1);
    inspect_wait_spool(rig, "spool", 0, RIG_START_MS);
    inspect_spool_empty(rig);
    rig_end(rig);
}

Test(refused, a_failure_report_is_kept, .timeout = 120)
{
    struct rig *rig = with_refusals("200 stock-ack", SECONDS_2);
    peer_script(rig->peer, "GET *source/3", "404");
    peer_script(rig->peer, "POST *fail", "404 code=job_not_found");
    rig_start_agent(rig);
    rig_expect(rig, "event=job.final outcome=lost job=7", RIG_JOB_MS, NULL);
    inspect_wait_spool(rig, "kept", 1, RIG_START_MS);
    cr_assert_eq(inspect_spool_count(rig, "spool"), 0);
    rig_end(rig);
}
