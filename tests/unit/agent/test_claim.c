#include "../base/scratch.h"
#include "agent/base/tool.h"
#include "agent/daemon/claim.h"
#include "agent/daemon/heartbeat.h"
#include "fixture.h"

Test(claim, a_server_with_a_long_poll_is_asked_again_at_once)
{
    cr_expect_eq(claim_pause_ms(30000, 30000, 10000, 1), 0);
    cr_expect_eq(claim_pause_ms(30000, 29000, 10000, 1), 0);
}

Test(claim, a_server_without_one_is_polled_and_not_in_step)
{
    int64_t shortest = INT64_MAX, longest = 0;
    for (uint64_t i = 0; i < 2000; i++) {
        int64_t pause_ms = claim_pause_ms(30000, 40, 10000, i * UINT64_C(9223372036854775));
        shortest = pause_ms < shortest ? pause_ms : shortest;
        longest = pause_ms > longest ? pause_ms : longest;
    }
    cr_expect_geq(shortest, 7500);
    cr_expect_leq(longest, 12500);
    cr_expect_lt(shortest, 8500, "no jitter: %lld", (long long)shortest);
    cr_expect_gt(longest, 11500, "no jitter: %lld", (long long)longest);
}

Test(claim, without_waiting_every_pause_is_the_poll_s)
{
    cr_expect_gt(claim_pause_ms(0, 0, 10000, 7), 0);
    cr_expect_gt(claim_pause_ms(0, 5000, 10000, 7), 0);
}

struct nodes {
    struct config config;
    struct node node;
};

static struct nodes *nodes_new(struct spool spool)
{
    struct nodes *nodes = must_calloc(1, sizeof *nodes);
    struct error err;
    OK(agent_config_load(NULL, &nodes->config, &err), err);
    nodes->node = (struct node){
        .config = &nodes->config, .spool = spool, .epoll = -1, .inotify = -1};
    roster_init(&nodes->node, NULL, 0);
    return nodes;
}

static void nodes_free(struct nodes *nodes)
{
    while (nodes->node.roster.first)
        roster_forget(nodes->node.roster.first);
    free(nodes);
}

static struct live *put(struct nodes *nodes, int64_t job_id)
{
    struct error err;
    char id[SPOOL_ID_BYTES];
    struct record_claim claim = fixture_claim(job_id, FIXTURE_UUID);
    OK(spool_add(&nodes->node.spool, &claim, id, &err), err);
    struct live *live = roster_add(&nodes->node, id, &err);
    cr_assert(live, "%s", err.message);
    return live;
}

Test(heartbeat, names_every_job_once_and_those_that_wait_for_delivery_too)
{
    SCRATCH(scratch);
    SPOOL(spool, scratch);
    struct nodes *nodes = nodes_new(spool);
    struct error err;
    struct live *live = put(nodes, 7);
    put(nodes, 7);
    put(nodes, 9);
    struct record_outcome outcome = fixture_outcome();
    FD(dir) = roster_open(live, &err);
    OK(record_commit_outcome(dir, &outcome, &err), err);
    OK(record_seal_completion(dir, &err), err);
    OK(roster_refresh(live, &err), err);
    cr_expect_eq(roster_slots_held(&nodes->node), 2, "a sealed record holds no slot");

    struct heartbeat sender = {.node = &nodes->node, .ffmpeg_version = "5.1.9"};
    TEXT(body) = heartbeat_format(&sender);
    struct message_heartbeat heartbeat;
    cr_assert_eq(message_heartbeat_parse(body, strlen(body), &heartbeat, &err),
                 TAILSLATE_PROBLEM_NONE, "%s", err.message);
    cr_expect_eq(heartbeat.status, WORKER_BUSY);
    cr_expect(heartbeat.jobs_known);
    cr_assert_eq(heartbeat.job_count, 2);
    cr_expect_eq(heartbeat.jobs[0], 7);
    cr_expect_eq(heartbeat.jobs[1], 9);
    cr_expect_str_eq(heartbeat.capabilities, "{\"ffmpeg_version\":\"5.1.9\"}");
    message_heartbeat_fini(&heartbeat);
    nodes_free(nodes);
}

Test(heartbeat, a_server_that_refuses_our_version_is_asked_for_nothing_until_it_accepts_it)
{
    static const char refused[] =
        "{\"status\":\"ok\",\"required_version\":\"2.0\",\"version_ok\":false}";
    static const char accepted[] = "{\"status\":\"ok\",\"version_ok\":true}";
    static const char silent[] = "{\"status\":\"ok\",\"version_ok\":null}";
    SCRATCH(scratch);
    SPOOL(spool, scratch);
    struct nodes *nodes = nodes_new(spool);
    cr_assert_null(admission_block_reason(&nodes->node, 0));
    heartbeat_note_version(&nodes->node, refused, strlen(refused));
    cr_expect(admission_block_reason(&nodes->node, 0), "a refused version still claims");
    heartbeat_note_version(&nodes->node, refused, strlen(refused));
    cr_expect(admission_block_reason(&nodes->node, 0));
    heartbeat_note_version(&nodes->node, accepted, strlen(accepted));
    cr_expect_null(admission_block_reason(&nodes->node, 0));
    heartbeat_note_version(&nodes->node, silent, strlen(silent));
    cr_expect_null(admission_block_reason(&nodes->node, 0));
    nodes_free(nodes);
}

Test(heartbeat, an_idle_node_says_that_it_holds_nothing)
{
    SCRATCH(scratch);
    SPOOL(spool, scratch);
    struct nodes *nodes = nodes_new(spool);
    struct error err;
    struct heartbeat sender = {.node = &nodes->node};
    TEXT(body) = heartbeat_format(&sender);
    struct message_heartbeat heartbeat;
    cr_assert_eq(message_heartbeat_parse(body, strlen(body), &heartbeat, &err),
                 TAILSLATE_PROBLEM_NONE);
    cr_expect_eq(heartbeat.status, WORKER_IDLE);
    cr_expect(heartbeat.jobs_known, "an empty list is not the same as none");
    cr_expect_eq(heartbeat.job_count, 0);
    cr_expect_null(heartbeat.capabilities);
    message_heartbeat_fini(&heartbeat);
    nodes_free(nodes);
}

/* The server releases the expired claims of who is idle, whatever the list says. */
Test(heartbeat, a_node_whose_spool_cannot_be_read_does_not_say_that_it_is_idle)
{
    SCRATCH(scratch);
    SPOOL(spool, scratch);
    struct nodes *nodes = nodes_new(spool);
    struct error err;
    struct heartbeat sender = {.node = &nodes->node};
    nodes->node.roster.is_incomplete = true;
    TEXT(body) = heartbeat_format(&sender);
    struct message_heartbeat heartbeat;
    cr_assert_eq(message_heartbeat_parse(body, strlen(body), &heartbeat, &err),
                 TAILSLATE_PROBLEM_NONE);
    cr_expect_eq(heartbeat.status, WORKER_BUSY);
    cr_expect_not(heartbeat.jobs_known);
    message_heartbeat_fini(&heartbeat);
    nodes_free(nodes);
}

Test(heartbeat, tells_which_encoders_work_in_words_that_a_stock_server_takes)
{
    SCRATCH(scratch);
    SPOOL(spool, scratch);
    struct nodes *nodes = nodes_new(spool);
    struct error err;
    static struct encoders found = {
        .working = 1u << ENCODER_LIBX264 | 1u << ENCODER_H264_VAAPI | 1u << ENCODER_LIBSVTAV1,
        .device = "/dev/dri/renderD128",
        .gpu = "AMD (1002:73bf)",
    };
    struct heartbeat sender = {.node = &nodes->node,
                               .ffmpeg_version = "7.1",
                               .encoders = &found,
                               .encoder = ENCODER_LIBX264,
                               .failed_encoder = ENCODER_H264_VAAPI,
                               .encoder_failure = "the GPU has hung"};
    TEXT(body) = heartbeat_format(&sender);
    struct message_heartbeat heartbeat;
    cr_assert_eq(message_heartbeat_parse(body, strlen(body), &heartbeat, &err),
                 TAILSLATE_PROBLEM_NONE, "%s", err.message);
    cr_expect_str_eq(
        heartbeat.capabilities,
        "{\"ffmpeg_version\":\"7.1\",\"hwaccel_enabled\":true,\"hwaccel_type\":\"amd\","
        "\"gpu_name\":\"AMD (1002:73bf)\",\"vaapi_device\":\"/dev/dri/renderD128\","
        "\"supported_codecs\":[\"h264\",\"av1\"],"
        "\"encoders\":{\"h264\":[\"h264_vaapi\",\"libx264\"],\"av1\":[\"libsvtav1\"]}}");
    cr_expect_not_null(strstr(heartbeat.metadata, "\"encoder\":\"libx264\""));
    cr_expect_not_null(strstr(heartbeat.metadata, "\"encoder_failed\":\"h264_vaapi\""));
    message_heartbeat_fini(&heartbeat);
    nodes_free(nodes);
}

/* In memory alone: the list is what counts. */
static void hold(struct nodes *nodes, int64_t from, int64_t to)
{
    for (int64_t job_id = from; job_id <= to; job_id++) {
        struct live *live = must_calloc(1, sizeof *live);
        live->node = &nodes->node;
        live->job_id = job_id;
        live->step.pidfd = live->watch = -1;
        live->next = nodes->node.roster.first;
        nodes->node.roster.first = live;
    }
}

static void let_go(struct nodes *nodes)
{
    for (struct live *live = nodes->node.roster.first, *next; live; live = next) {
        next = live->next;
        free(live);
    }
    nodes->node.roster.first = NULL;
}

static void hear(struct nodes *nodes, struct message_heartbeat *heartbeat)
{
    struct error err;
    struct heartbeat sender = {.node = &nodes->node};
    TEXT(body) = heartbeat_format(&sender);
    cr_assert_eq(message_heartbeat_parse(body, strlen(body), heartbeat, &err),
                 TAILSLATE_PROBLEM_NONE, "%s", err.message);
    message_heartbeat_fini(heartbeat);
}

Test(heartbeat, names_all_jobs_or_none)
{
    SCRATCH(scratch);
    SPOOL(spool, scratch);
    struct nodes *nodes = nodes_new(spool);
    struct message_heartbeat heartbeat;
    hold(nodes, 1, HELD_JOBS_MAX);
    hear(nodes, &heartbeat);
    cr_expect(heartbeat.jobs_known);
    cr_expect_eq(heartbeat.job_count, HELD_JOBS_MAX);
    hold(nodes, 1, 1);
    hear(nodes, &heartbeat);
    cr_expect(heartbeat.jobs_known, "one job twice is one job");
    hold(nodes, HELD_JOBS_MAX + 1, HELD_JOBS_MAX + 1);
    hear(nodes, &heartbeat);
    cr_expect_not(heartbeat.jobs_known, "what a cut list leaves out looks given up");
    cr_expect_eq(heartbeat.job_count, 0);
    cr_expect_eq(heartbeat.status, WORKER_BUSY);
    let_go(nodes);
    nodes_free(nodes);
}

Test(tool, a_version_is_the_word_behind_version)
{
    char version[TOOL_VERSION_BYTES];
    cr_expect(tool_parse_version("ffmpeg version 5.1.9-0+deb12u1 Copyright (c)\n", version));
    cr_expect_str_eq(version, "5.1.9-0+deb12u1");
    cr_expect_not(tool_parse_version("usage: cat\nits version 1", version));
    cr_expect_not(tool_parse_version("", version));
}

Test(tool, an_encoder_is_a_name_and_not_a_part_of_one)
{
    static const char text[] = "Encoders:\n V..... = Video\n ------\n"
                               " V....D libx264rgb           libx264 H.264 RGB\n"
                               " A....D aac                  AAC\n";
    cr_expect(tool_has_encoder(text, "aac"));
    cr_expect(tool_has_encoder(text, "libx264rgb"));
    cr_expect_not(tool_has_encoder(text, "libx264"));
    cr_expect_not(tool_has_encoder(text, "AAC"));
}

Test(tool, what_is_not_there_is_said_with_where_it_was_looked_for)
{
    struct error err;
    cr_expect_eq(tool_find("no-such-program-anywhere", &err), -1);
    cr_expect(strstr(err.message, "PATH"), "%s", err.message);
    cr_expect_eq(tool_find("/nowhere/ffmpeg", &err), -1);
    cr_expect(strstr(err.message, "/nowhere/ffmpeg"), "%s", err.message);
    cr_expect_eq(tool_find("sh", &err), 0);
}

Test(tool, a_program_that_fails_is_an_error_and_one_that_prints_is_read)
{
    struct error err;
    TEXT(text) = NULL;
    cr_expect_eq(tool_ask("false", "-version", &text, &err), -1);
    cr_expect_null(text);
    cr_assert_eq(tool_ask("echo", "-version", &text, &err), 0, "%s", err.message);
    cr_expect_str_eq(text, "-version\n");
}
