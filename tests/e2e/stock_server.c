/* Our agent against a server that knows nothing of ours: no epoch, no codes, no echo, and an
 * answer `Job already completed` that may be a lie. The server is a script. */
#include "base/clock.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "rig.h"
#include "scripted.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define CONFIRMED                                                                                  \
    "200 {\"job_id\":7,\"video_id\":3,\"video_slug\":\"film\",\"video_status\":\"ready\","         \
    "\"job_completed\":true,\"all_files_present\":true,\"qualities_present\":[\"360p\"],"          \
    "\"missing_files\":[]}"

enum { DELIVERY_SILENCE_S = 60 };

static struct rig *with_stock_server(const char *completions)
{
    struct rig *rig = rig_new();
    peer_set_upstream(rig_put_peer_between(rig), 0);
    scripted_server(rig->peer, SCRIPTED_STOCK_CLAIM "; " SCRIPTED_NO_JOB, completions);
    return rig;
}

/* The word behind a member's name in a body; the peer's bodies hold it as the agent wrote it. */
static void text_after(const char *body, const char *member, char *text, size_t size)
{
    const char *at = strstr(body, member);
    cr_assert(at, "no %s in %s", member, body);
    at += strlen(member);
    snprintf(text, size, "%.*s", (int)strcspn(at, "\""), at);
}

Test(stock_server, its_first_acknowledgment_counts, .timeout = 120)
{
    struct rig *rig = with_stock_server("200 stock-ack");
    rig_start_agent(rig);
    rig_wait_final(rig, 7);
    inspect_wait_spool(rig, "spool", 0, RIG_JOB_MS);
    inspect_spool_empty(rig);
    cr_assert_eq(peer_count(rig->peer, "POST *complete"), 1);
    const struct peer_request *request = peer_request(rig->peer, "POST *complete", 0);
    char token[128];
    text_after(request->body, "\"completion_token\":\"", token, sizeof token);
    cr_assert(strncmp(token, "7-", 2) == 0, "%s", token);
    rig_end(rig);
}

/* Single files it keeps in the rendition's directory; what its own workers pack lies beside it. */
Test(stock_server, it_gets_each_playlist_under_the_name_that_its_workers_use, .timeout = 120)
{
    struct rig *rig = with_stock_server("200 stock-ack");
    rig_start_agent(rig);
    rig_wait_final(rig, 7);
    cr_assert_eq(peer_count(rig->peer, "POST *upload/3/quality/360p"), 1);
    const struct peer_request *sent = peer_request(rig->peer, "POST *upload/3/quality/360p", 0);
    const char *archive = memmem(sent->body, sent->body_size, "\r\n\r\n", 4);
    cr_assert_not_null(archive);
    TEXT(path) = rig_path(rig, "sent.tar.gz");
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    size_t size = sent->body_size - (size_t)(archive + 4 - sent->body);
    cr_assert_eq(fwrite(archive + 4, 1, size, file), size);
    cr_assert_eq(fclose(file), 0);
    RUN(run) = run_program((const char *[]){"tar", "-xzOf", path, "360p.m3u8", NULL}, NULL,
                           RIG_START_MS);
    cr_expect(strstr(run.out, "\n360p/seg_0000.m4s\n"), "%s%s", run.out, run.err);
    cr_expect(strstr(run.out, "URI=\"360p/init.mp4\""), "%s", run.out);
    rig_end(rig);
}

/* Whatever it says to that: the work counts. */
Test(stock_server, a_refused_second_name_holds_nothing_up, .timeout = 120)
{
    struct rig *rig = with_stock_server("200 stock-ack");
    peer_script(rig->peer, "POST *upload/3/quality/360p", "400");
    rig_start_agent(rig);
    rig_wait_final(rig, 7);
    cr_expect_eq(rig_count_lines(rig, "event=step.alias_not_sent name=360p.m3u8"), 1);
    rig_end(rig);
}

Test(stock_server, already_completed_is_asked_about_before_it_is_believed, .timeout = 120)
{
    struct rig *rig = with_stock_server("200 stock-already");
    peer_script(rig->peer, "GET *verify-complete", "500; " CONFIRMED);
    rig_start_agent(rig);
    peer_wait(rig->peer, "GET *verify-complete", 1, RIG_JOB_MS);
    rig_expect(rig, "job=7", RIG_JOB_MS, NULL);
    cr_assert_eq(rig_count_lines(rig, "event=job.final"), 0, "it believed the answer");
    rig_kill_node(rig);
    rig_end(rig);
}

Test(stock_server, already_completed_that_is_confirmed_counts, .timeout = 120)
{
    struct rig *rig = with_stock_server("200 stock-already");
    peer_script(rig->peer, "GET *verify-complete", CONFIRMED);
    rig_start_agent(rig);
    rig_wait_final(rig, 7);
    inspect_wait_spool(rig, "spool", 0, RIG_JOB_MS);
    cr_assert_eq(peer_count(rig->peer, "POST *complete"), 1);
    cr_assert_geq(peer_count(rig->peer, "GET *verify-complete"), 1);
    rig_end(rig);
}

Test(stock_server, a_reload_does_not_cut_the_silence_short, .timeout = 120)
{
    struct rig *rig = with_stock_server("200 stock-already");
    peer_script(rig->peer, "GET *verify-complete", "500");
    rig_start_agent(rig);
    rig_expect(rig, "event=delivery.refused verdict=silent", RIG_JOB_MS, NULL);
    int heard = peer_count(rig->peer, "POST *heartbeat");
    process_signal(rig->agent, SIGHUP);
    rig_expect(rig, "event=agent.reloaded", RIG_START_MS, NULL);
    peer_wait(rig->peer, "POST *heartbeat", heard + 3, RIG_START_MS);
    cr_assert_eq(peer_count(rig->peer, "POST *complete"), 1, "it was presented within the silence");
    cr_assert_eq(rig_count_lines(rig, "event=job.final"), 0, "it believed the answer");
    rig_kill_node(rig);
    rig_end(rig);
}

/* What its verify-complete says to whoever holds the job, completed or not. */
#define NO_ANSWER "html 500"

static void silent_since(const struct rig *rig, int seconds_ago)
{
    char since[WALL_TEXT_BYTES], token[128];
    TEXT(record) = inspect_record(rig, "spool");
    TEXT(path) = must_printf("%s/silence.json", record);
    inspect_wait_token(rig, token, RIG_JOB_MS);
    cr_assert(inspect_wait_file(path, true, RIG_JOB_MS), "no silence was written down");
    wall_format(wall_us() - seconds_ago * INT64_C(1000000), since);
    TEXT(text) = must_printf("{\"token\":\"%s\",\"since\":\"%s\"}", token, since);
    file_write(path, text, 0600);
}

static void went_past_the_cache(const struct peer_request *request)
{
    cr_assert(request);
    cr_assert(!strstr(request->body, "completion_token"), "its cache answers: %s", request->body);
    cr_assert(strstr(request->body, "\"qualities\""), "%s", request->body);
    cr_assert(strstr(request->headers, "Idempotency-Key: 7-"), "%s", request->headers);
}

/* One lost answer: the completion is committed, and the cache knows its token. The time counts from
 * the disk, over restarts, and the completed row gets no claim_expires_at back. */
Test(stock_server, a_doubt_is_settled_past_its_cache_and_a_restart_does_not_begin_it_anew,
     .timeout = 120)
{
    struct rig *rig = with_stock_server("lost; 200 stock-already");
    peer_script(rig->peer, "GET *verify-complete", NO_ANSWER);
    rig_start_agent(rig);
    rig_expect(rig, "event=delivery.refused verdict=silent", RIG_JOB_MS, NULL);
    int told = peer_count(rig->peer, "POST *progress");
    for (int life = 0; life < 2; life++) {
        rig_kill_agent(rig);
        rig_start_agent(rig);
        peer_wait_more(rig->peer, "POST *heartbeat", 2, RIG_START_MS);
        cr_assert_eq(peer_count(rig->peer, "POST *complete"), 2, "presented within the silence");
    }
    rig_stop_agent(rig);
    silent_since(rig, DELIVERY_SILENCE_S - 2);
    rig_start_agent(rig);
    rig_wait_final(rig, 7);
    cr_assert_eq(rig_count_lines(rig, "event=job.final outcome=completed"), 1);
    cr_assert_eq(peer_count(rig->peer, "POST *complete"), 3);
    went_past_the_cache(peer_request(rig->peer, "POST *complete", 2));
    cr_assert_eq(peer_count(rig->peer, "POST *progress"), told, "progress on a completed row");
    inspect_wait_spool(rig, "spool", 0, RIG_JOB_MS);
    rig_end(rig);
}

/* The cache has lied: the first request had not committed. */
Test(stock_server, what_was_not_committed_is_committed_past_its_cache, .timeout = 120)
{
    struct rig *rig = with_stock_server("hangup; 200 stock-already; 503; 200 stock-ack");
    peer_script(rig->peer, "GET *verify-complete",
                "200 {\"job_id\":7,\"video_status\":\"processing\",\"job_completed\":false}");
    rig_start_agent(rig);
    rig_expect(rig, "event=delivery.refused verdict=silent", RIG_JOB_MS, NULL);
    rig_stop_agent(rig);
    silent_since(rig, DELIVERY_SILENCE_S);
    rig_start_agent(rig);
    rig_wait_final(rig, 7);
    cr_assert_eq(rig_count_lines(rig, "event=job.final outcome=completed"), 1);
    went_past_the_cache(peer_request(rig->peer, "POST *complete", 2));
    went_past_the_cache(peer_request(rig->peer, "POST *complete", 3));
    rig_end(rig);
}

Test(stock_server, a_409_without_a_code_is_asked_about_by_claiming_the_job_again, .timeout = 120)
{
    struct rig *rig = with_stock_server("409; 200 stock-ack");
    peer_script(rig->peer, "POST *claim?*job_id=7*", SCRIPTED_STOCK_CLAIM);
    rig_start_agent(rig);
    rig_wait_final(rig, 7);
    inspect_wait_spool(rig, "spool", 0, RIG_JOB_MS);
    char first[128], second[128];
    text_after(peer_request(rig->peer, "POST *complete", 0)->body, "\"completion_token\":\"", first,
               sizeof first);
    text_after(peer_request(rig->peer, "POST *complete", 1)->body, "\"completion_token\":\"",
               second, sizeof second);
    cr_assert(strcmp(first, second) != 0, "a new claim has a token of its own");
    cr_assert_eq(rig_count_lines(rig, "event=step.transcoder_started"), 1,
                 "the work was done again");
    rig_end(rig);
}

Test(stock_server, a_claim_that_is_not_to_be_had_again_is_held_with_its_work, .timeout = 120)
{
    struct rig *rig = with_stock_server("409");
    peer_script(rig->peer, "POST *claim?*job_id=7*", SCRIPTED_NO_JOB);
    rig_agent_set(rig, "retry.cap_seconds", "300");
    rig_start_agent(rig);
    rig_expect(rig, "event=delivery.refused verdict=hold", RIG_JOB_MS, NULL);
    cr_assert_eq(peer_count(rig->peer, "POST *complete"), 1);
    cr_assert_eq(peer_count(rig->peer, "POST *claim?*job_id=7*"), 1);
    inspect_wait_spool(rig, "spool", 1, RIG_JOB_MS);
    rig_stop_agent(rig);
    cr_assert_eq(rig_count_lines(rig, "event=job.final"), 0);
    rig_end(rig);
}

Test(stock_server, a_job_that_comes_back_as_another_video_is_held_with_its_work, .timeout = 120)
{
    struct rig *rig = with_stock_server("409");
    peer_script(rig->peer, "POST *claim?*job_id=7*", SCRIPTED_CLAIM_OF("3", "another", ""));
    rig_start_agent(rig);
    rig_expect(rig, "event=job.other_video job=7", RIG_JOB_MS, NULL);
    peer_wait_more(rig->peer, "POST *heartbeat", 5, RIG_START_MS);
    cr_assert_eq(peer_count(rig->peer, "POST *complete"), 1, "it was presented for another film");
    cr_assert_eq(inspect_spool_count(rig, "spool"), 1);
    rig_stop_agent(rig);
    rig_end(rig);
}

Test(stock_server, a_claim_that_goes_again_at_once_is_not_fought_for, .timeout = 120)
{
    struct rig *rig = with_stock_server("403");
    peer_script(rig->peer, "POST *claim?*job_id=7*", SCRIPTED_STOCK_CLAIM);
    rig_agent_set(rig, "retry.cap_seconds", "300");
    rig_start_agent(rig);
    rig_expect(rig, "event=delivery.refused verdict=hold", RIG_JOB_MS, NULL);
    cr_assert_eq(peer_count(rig->peer, "POST *complete"), 2);
    cr_assert_eq(peer_count(rig->peer, "POST *claim?*job_id=7*"), 1);
    rig_stop_agent(rig);
    rig_end(rig);
}

Test(stock_server, a_kill_while_the_job_is_asked_for_again_costs_nothing, .timeout = 120)
{
    struct rig *rig = with_stock_server("409; 409; 200 stock-ack");
    peer_script(rig->peer, "POST *claim?*job_id=7*", "stall 60s; " SCRIPTED_STOCK_CLAIM);
    rig_start_agent(rig);
    peer_wait(rig->peer, "POST *claim?*job_id=7*", 1, RIG_JOB_MS);
    cr_assert_eq(peer_count(rig->peer, "POST *complete"), 1, "presented while it asks");
    rig_kill_agent(rig);
    rig_start_agent(rig);
    rig_wait_final(rig, 7);
    inspect_wait_spool(rig, "spool", 0, RIG_JOB_MS);
    cr_assert_eq(peer_count(rig->peer, "POST *complete"), 3);
    cr_assert_eq(rig_count_lines(rig, "event=step.transcoder_started"), 1);
    rig_end(rig);
}

Test(stock_server, what_goes_well_at_the_second_try_is_no_warning_and_what_does_not_is,
     .timeout = 120)
{
    static const char *const troubles[] = {"503", "503; 503"};
    for (int i = 0; i < 2; i++) {
        struct rig *rig = with_stock_server("200 stock-ack");
        TEXT(reports) = must_printf("%s; 200 stock-ack", troubles[i]);
        TEXT(uploads) = must_printf("%s; " SCRIPTED_FINALIZED, troubles[i]);
        peer_script(rig->peer, "POST *complete", reports);
        peer_script(rig->peer, "POST *segment/finalize", uploads);
        rig_start_agent(rig);
        rig_wait_final(rig, 7);
        cr_assert_eq(rig_count_lines(rig, "level=error"), 0);
        cr_assert_eq(rig_count_lines(rig, "level=warning event=step.server_trouble"), i);
        cr_assert_eq(rig_count_lines(rig, "level=warning event=delivery.refused"), i);
        rig_end(rig);
    }
}

/* ---- before there is an outcome: the slot is not to be held for nothing ---- */

Test(stock_server, a_source_refused_for_a_lost_claim_is_fetched_under_a_new_one, .timeout = 120)
{
    static const char *const refusals[] = {"403", "409"};
    for (size_t i = 0; i < 2; i++) {
        struct rig *rig = with_stock_server("200 stock-ack");
        TEXT(then) = must_printf("%s; %s; file %s", refusals[i], refusals[i],
                                 media_clip(MEDIA_TINY));
        peer_script(rig->peer, "GET *source/3", then);
        peer_script(rig->peer, "POST *claim?*job_id=7*", SCRIPTED_STOCK_CLAIM);
        rig_start_agent(rig);
        rig_wait_final(rig, 7);
        inspect_wait_spool(rig, "spool", 0, RIG_JOB_MS);
        cr_assert_eq(rig_count_lines(rig, "event=job.final outcome=completed"), 1);
        cr_assert_eq(rig_count_lines(rig, "event=step.reclaiming"), 1);
        rig_end(rig);
    }
}

Test(stock_server, a_claim_that_went_before_the_work_gives_the_slot_back, .timeout = 120)
{
    struct rig *rig = with_stock_server("200 stock-ack");
    peer_script(rig->peer, "GET *source/3", "409");
    peer_script(rig->peer, "POST *claim?*job_id=7*", SCRIPTED_NO_JOB);
    rig_start_agent(rig);
    rig_expect(rig, "event=job.final outcome=lost job=7", RIG_JOB_MS, NULL);
    inspect_wait_spool(rig, "spool", 0, RIG_JOB_MS);
    cr_assert_eq(peer_count(rig->peer, "POST *fail"), 0, "it was charged an attempt");
    peer_wait_more(rig->peer, "POST *claim?wait*", 1, RIG_JOB_MS);
    rig_end(rig);
}

Test(stock_server, a_source_that_it_does_not_have_ends_in_a_failure_report, .timeout = 120)
{
    struct rig *rig = with_stock_server("200 stock-ack");
    peer_script(rig->peer, "GET *source/3", "404");
    peer_script(rig->peer, "POST *fail", "200 {\"status\":\"ok\",\"will_retry\":true}");
    rig_start_agent(rig);
    rig_expect(rig, "event=job.final outcome=failed job=7", RIG_JOB_MS, NULL);
    cr_assert_geq(peer_count(rig->peer, "GET *source/3"), 3, "once may be an accident");
    rig_end(rig);
}

static void seal_days_ago(const struct rig *rig, int days)
{
    TEXT(record) = inspect_record(rig, "spool");
    TEXT(sealed) = must_printf("%s/failure.json", record);
    struct timespec then = {.tv_sec = time(NULL) - days * 86400L};
    struct timespec times[2] = {then, then};
    cr_assert_eq(utimensat(AT_FDCWD, sealed, times, 0), 0, "%s", sealed);
}

Test(stock_server, a_failure_report_that_it_refuses_ends_with_its_claim, .timeout = 120)
{
    static const char *const refusals[] = {"403", "404", "409"};
    for (size_t i = 0; i < 3; i++) {
        struct rig *rig = with_stock_server("200 stock-ack");
        peer_script(rig->peer, "GET *source/3", "404");
        peer_script(rig->peer, "POST *fail", refusals[i]);
        rig_start_agent(rig);
        rig_expect(rig, "event=delivery.refused verdict=hold", RIG_JOB_MS, NULL);
        cr_assert_eq(rig_count_lines(rig, "event=job.final"), 0, "the claim may still be ours");
        rig_stop_agent(rig);
        seal_days_ago(rig, 2);
        rig_start_agent(rig);
        char line[LINE_BYTES];
        rig_expect(rig, "event=job.final outcome=lost job=7", RIG_JOB_MS, line);
        cr_assert(strstr(line, "this failure's claim is superseded"), "%s", line);
        inspect_wait_spool(rig, "kept", 1, RIG_START_MS);
        cr_assert_eq(inspect_spool_count(rig, "spool"), 0);
        RUN(fsck) = rig_agent(rig, (const char *[]){"spool", "fsck", NULL});
        cr_assert_eq(fsck.status, 0, "%s%s", fsck.out, fsck.err);
        rig_end(rig);
    }
}

Test(stock_server, an_upload_refused_for_a_lost_claim_goes_on_under_a_new_one, .timeout = 120)
{
    struct rig *rig = with_stock_server("200 stock-ack");
    peer_script(rig->peer, "POST *segment/finalize", "409; " SCRIPTED_FINALIZED);
    peer_script(rig->peer, "POST *claim?*job_id=7*", SCRIPTED_STOCK_CLAIM);
    rig_agent_set(rig, "retry.cap_seconds", "30");
    rig_start_agent(rig);
    rig_wait_final(rig, 7);
    inspect_wait_spool(rig, "spool", 0, RIG_JOB_MS);
    cr_assert_eq(rig_count_lines(rig, "event=step.transcoder_started"), 1);
    cr_assert_eq(rig_count_lines(rig, "event=job.final outcome=completed"), 1);
    cr_assert_eq(rig_count_lines(rig, "event=step.reclaiming"), 1);
    cr_assert_eq(rig_count_lines(rig, "level=error"), 0, "nobody is needed for that");
    cr_assert_eq(rig_count_lines(rig, "level=warning"), 0);
    rig_end(rig);
}
