/* What a node waits for is said in the same words by `status`, `spool ls`, /readyz and the log. */
#include "call.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "rig.h"
#include "scripted.h"

#include <criterion/criterion.h>
#include <string.h>

static struct rig *with_server(const char *claims)
{
    struct rig *rig = rig_new();
    peer_set_upstream(rig_put_peer_between(rig), 0);
    scripted_server(rig->peer, claims, "200 ack");
    TEXT(port) = must_printf("%d", rig->port + 1);
    rig_agent_set(rig, "health.port", port);
    rig_agent_set(rig, "claim.wait_seconds", "0");
    return rig;
}

static void list_says(struct rig *rig, const char *words)
{
    RUN(list) = rig_agent(rig, (const char *[]){"spool", "ls", NULL});
    cr_assert_eq(list.status, 0, "%s", list.err);
    cr_expect(strstr(list.out, words), "spool ls does not say \"%s\":\n%s", words, list.out);
}

static void readiness_says(struct rig *rig, const char *words)
{
    TEXT(url) = must_printf("http://127.0.0.1:%d/readyz", rig->port + 1);
    REPLY(ready) = call_make(&(struct call){.url = url});
    cr_expect_eq(ready.status, 503);
    cr_expect(strstr(ready.body, words), "/readyz does not say \"%s\": %s", words, ready.body);
}

static void log_says(struct rig *rig, const char *words)
{
    TEXT(path) = must_strdup(rig->agent->log);
    TEXT(wanted) = must_printf("event=node.waiting reason=\"%s", words);
    TEXT(log) = file_read(path);
    cr_expect(strstr(log, wanted), "the log does not say \"%s\"", words);
}

/* An agent without a record, and a server that answers each request in this way. */
static void node_waits(const char *answer, const char *reason, const char *hint)
{
    struct rig *rig = with_server(SCRIPTED_NO_JOB);
    peer_script(rig->peer, "POST *heartbeat", answer);
    peer_script(rig->peer, "POST *claim*", answer);
    rig_start_agent(rig);
    inspect_wait_status(rig, NULL, reason, RIG_START_MS);
    inspect_wait_status(rig, NULL, hint, RIG_START_MS);
    inspect_wait_status(rig, "--json", "\"waiting\"", RIG_START_MS);
    list_says(rig, reason);
    readiness_says(rig, reason);
    log_says(rig, reason);
    rig_end(rig);
}

Test(waiting, for_a_server_that_cannot_be_reached, .timeout = 120)
{
    node_waits("hangup", "the server cannot be reached", "check that the verifier is running");
}

Test(waiting, for_a_valid_key, .timeout = 120)
{
    node_waits("401 code=unauthorized", "the server refuses this worker's key",
               "server.api_key_file");
}

Test(waiting, for_a_server_that_limits_requests, .timeout = 120)
{
    node_waits("429 retry-after=1", "the server limits the rate of requests", "check the key");
}

Test(waiting, for_space_on_the_server, .timeout = 120)
{
    node_waits("507 code=server_full", "the server has no space left", "free space on the server");
}

Test(waiting, for_a_server_that_fails, .timeout = 120)
{
    node_waits("503 code=store_unavailable", "the server cannot work now: HTTP 503",
               "tailslate-verifier status");
}

Test(waiting, for_an_operator_who_has_drained_or_paused_the_node, .timeout = 120)
{
    static const char *const words[][3] = {{"drain", "drained by an operator", "undrain"},
                                           {"pause", "paused by an operator", "unpause"}};
    for (size_t i = 0; i < 2; i++) {
        struct rig *rig = with_server(SCRIPTED_NO_JOB);
        rig_start_agent(rig);
        RUN(order) = rig_agent(rig, (const char *[]){words[i][0], NULL});
        cr_assert_eq(order.status, 0, "%s", order.err);
        inspect_wait_status(rig, NULL, words[i][1], RIG_START_MS);
        inspect_wait_status(rig, NULL, words[i][2], RIG_START_MS);
        list_says(rig, words[i][1]);
        readiness_says(rig, words[i][1]);
        rig_end(rig);
    }
}

Test(waiting, for_a_job, .timeout = 120)
{
    struct rig *rig = with_server(SCRIPTED_NO_JOB);
    rig_start_agent(rig);
    inspect_wait_status(rig, NULL, "the server has no job for this node (for", RIG_START_MS);
    list_says(rig, "the server has no job for this node");
    rig_end(rig);
}

Test(waiting, for_an_encoder_that_works, .timeout = 120)
{
    struct rig *rig = with_server(SCRIPTED_NO_JOB);
    TEXT(broken) = rig_script(rig, "broken-ffmpeg", "exit 1\n");
    TEXT(quoted) = must_printf("\"%s\"", broken);
    rig_agent_set(rig, "transcode.ffmpeg", quoted);
    rig_start_agent(rig);
    inspect_wait_status(rig, NULL, "ffmpeg does not work", RIG_START_MS);
    inspect_wait_status(rig, NULL, "tailslate-agent check", RIG_START_MS);
    list_says(rig, "ffmpeg does not work");
    rig_end(rig);
}

/* ---- one record ---- */

Test(waiting, for_space_on_the_server_with_an_upload_and_then_with_a_report, .timeout = 180)
{
    struct rig *rig = with_server(SCRIPTED_CLAIM("1") "; " SCRIPTED_NO_JOB);
    peer_script(rig->peer, "POST *upload/*", "507 code=server_full");
    peer_script(rig->peer, "POST *complete", "507 code=server_full");
    rig_start_agent(rig);
    inspect_wait_status(rig, NULL, "the server has no space left", RIG_JOB_MS);
    inspect_wait_status(rig, NULL, "free space on the server", RIG_START_MS);
    list_says(rig, "the server has no space left");
    peer_script(rig->peer, "POST *upload/*",
                "200 {\"status\":\"ok\",\"written\":true,\"bytes_written\":1,"
                "\"checksum_verified\":true,\"message\":\"ok\"}");
    peer_script(rig->peer, "POST *segment/finalize", SCRIPTED_FINALIZED);
    rig_expect(rig, "event=delivery.refused", RIG_JOB_MS, NULL);
    inspect_wait_status(rig, NULL, "the server has no space left: HTTP 507 server_full (for",
                        RIG_START_MS);
    list_says(rig, "the server has no space left: HTTP 507 server_full (for");
    peer_script(rig->peer, "POST *complete", "200 ack");
    rig_expect(rig, "event=job.final outcome=completed", RIG_JOB_MS, NULL);
    rig_end(rig);
}

Test(waiting, for_an_operator_who_has_put_a_record_on_hold, .timeout = 120)
{
    struct rig *rig = with_server(SCRIPTED_CLAIM("1") "; " SCRIPTED_NO_JOB);
    peer_script(rig->peer, "POST *complete", "503 retry-after=3600 code=store_unavailable");
    rig_start_agent(rig);
    rig_expect(rig, "event=delivery.refused", RIG_JOB_MS, NULL);
    RUN(hold) = rig_agent(rig, (const char *[]){"spool", "hold", "7.1", NULL});
    cr_assert_eq(hold.status, 0, "%s", hold.err);
    inspect_wait_status(rig, NULL, "on hold, requested by an operator", RIG_START_MS);
    inspect_wait_status(rig, NULL, "tailslate-agent spool retry 7.1", RIG_START_MS);
    list_says(rig, "on hold, requested by an operator");
    rig_end(rig);
}
