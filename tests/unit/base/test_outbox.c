#include "disk_watch.h"
#include "lib/message_fields.h"
#include "scratch.h"

#include "tailslate/outbox.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { JOB = 7, EPOCH = 3, ATTEMPTS_MAX = 16, BASE_MS = 1000, CAP_MS = 60000 };
#define OTHER_TOKEN "7-0f8fad5b-d9cb-469f-a165-70867728950e"

/* A server that answers by a script, %s being the token; NULL: it is not reached. */
struct script {
    const char *bodies[ATTEMPTS_MAX];
    long statuses[ATTEMPTS_MAX];
    int sent, reports;
    char tokens[ATTEMPTS_MAX][TAILSLATE_TOKEN_BYTES];
    char last_body[4096];
    int64_t last_epoch;
    struct tailslate_outbox_report report; /* the last one */
    char why[256];
    char token[TAILSLATE_TOKEN_BYTES];
};

static void send_by_script(void *ctx, const struct tailslate_outbox_post *post,
                           struct tailslate_outbox_answer *answer)
{
    struct script *script = ctx;
    int at = script->sent++;
    cr_assert_lt(at, ATTEMPTS_MAX);
    cr_assert_eq(answer->reach, TAILSLATE_REACH_UNREACHED);
    snprintf(script->tokens[at], TAILSLATE_TOKEN_BYTES, "%s", post->token);
    snprintf(script->last_body, sizeof script->last_body, "%s", post->body);
    script->last_epoch = post->claim_epoch;
    const char *body = script->bodies[at], *hole = body ? strstr(body, "%s") : NULL;
    if (!body)
        return;
    answer->reach = TAILSLATE_REACH_ANSWERED;
    answer->status = script->statuses[at];
    snprintf(answer->content_type, sizeof answer->content_type, "%s",
             body[0] == '{' ? "application/problem+json; charset=utf-8" : "text/html");
    TEXT(filled) = hole ? must_printf("%.*s%s%s", (int)(hole - body), body, script->token, hole + 2)
                        : must_strdup(body);
    answer->body_size = strlen(filled);
    memcpy(answer->body, filled, answer->body_size);
}

static void note_report(void *ctx, const struct tailslate_outbox_report *report)
{
    struct script *script = ctx;
    script->reports++;
    script->report = *report;
    snprintf(script->why, sizeof script->why, "%s", report->why);
}

static struct tailslate_outbox_sender sender_of(struct script *script)
{
    return (struct tailslate_outbox_sender){script, send_by_script, note_report, {BASE_MS, CAP_MS}};
}

static struct tailslate_outbox *open_in(const struct scratch *scratch)
{
    char reason[TAILSLATE_REASON_BYTES] = "";
    TEXT(path) = must_printf("%s/outbox", scratch->path);
    struct tailslate_outbox *outbox = tailslate_outbox_open(path, reason);
    cr_assert(outbox, "%s", reason);
    return outbox;
}

static void close_outbox(struct tailslate_outbox **outbox)
{
    tailslate_outbox_close(*outbox);
}
#define OUTBOX(name, scratch) CLEANUP(close_outbox) struct tailslate_outbox *name = open_in(scratch)

static struct tailslate_completion completion(void)
{
    return (struct tailslate_completion){
        .renditions = {{TAILSLATE_QUALITY_360P, 640, 360, 600}},
        .rendition_count = 1,
        .duration = 2.5,
        .source_width = 640,
        .source_height = 360,
    };
}

static void claim_and_seal(struct tailslate_outbox *outbox, char token[TAILSLATE_TOKEN_BYTES])
{
    struct tailslate_completion done = completion();
    cr_assert_eq(tailslate_outbox_claim(outbox, JOB, EPOCH, token), TAILSLATE_OUTBOX_OPEN);
    cr_assert_eq(tailslate_outbox_seal(outbox, JOB, &done), 0, "%s",
                 tailslate_outbox_error(outbox));
}

static bool is_there(const struct scratch *scratch, const char *directory, const char *name)
{
    TEXT(path) = must_printf("outbox/%s%s.json", directory, name);
    return durable_exists(scratch->fd, path);
}

Test(outbox, a_claim_has_one_token_however_often_it_is_asked_for)
{
    SCRATCH(scratch);
    char first[TAILSLATE_TOKEN_BYTES], second[TAILSLATE_TOKEN_BYTES], third[TAILSLATE_TOKEN_BYTES];
    {
        OUTBOX(outbox, &scratch);
        cr_assert_eq(tailslate_outbox_claim(outbox, JOB, EPOCH, first), TAILSLATE_OUTBOX_OPEN);
        cr_assert_eq(tailslate_outbox_claim(outbox, JOB, EPOCH, second), TAILSLATE_OUTBOX_OPEN);
    }
    OUTBOX(outbox, &scratch);
    cr_assert_eq(tailslate_outbox_claim(outbox, JOB, EPOCH, third), TAILSLATE_OUTBOX_OPEN);
    cr_expect_str_eq(first, second);
    cr_expect_str_eq(first, third);
}

Test(outbox, another_claim_has_another_token_but_sealed_work_keeps_its_own)
{
    SCRATCH(scratch);
    OUTBOX(outbox, &scratch);
    struct script script = {0};
    struct tailslate_outbox_sender sender = sender_of(&script);
    char first[TAILSLATE_TOKEN_BYTES], second[TAILSLATE_TOKEN_BYTES], third[TAILSLATE_TOKEN_BYTES];
    cr_assert_eq(tailslate_outbox_claim(outbox, JOB, EPOCH - 1, first), TAILSLATE_OUTBOX_OPEN);
    claim_and_seal(outbox, second);
    cr_expect_str_neq(first, second);
    cr_assert_eq(tailslate_outbox_claim(outbox, JOB, EPOCH + 1, third), TAILSLATE_OUTBOX_SEALED);
    cr_expect_str_eq(second, third);
    tailslate_outbox_deliver(outbox, 0, &sender);
    cr_expect_eq(script.last_epoch, EPOCH + 1);
    cr_expect_eq(tailslate_outbox_abandon(outbox, JOB), -1, "it is sealed");
}

Test(outbox, a_token_never_stands_for_two_completions)
{
    SCRATCH(scratch);
    OUTBOX(outbox, &scratch);
    struct script script = {0};
    struct tailslate_outbox_sender sender = sender_of(&script);
    char token[TAILSLATE_TOKEN_BYTES];
    claim_and_seal(outbox, token);
    struct tailslate_completion other = completion();
    other.duration = 99;
    cr_assert_eq(tailslate_outbox_seal(outbox, JOB, &other), 0);
    tailslate_outbox_deliver(outbox, 0, &sender);
    cr_expect(strstr(script.last_body, "2.5"), "%s", script.last_body);
}

Test(outbox, what_is_not_sealed_is_not_presented_and_may_be_abandoned)
{
    SCRATCH(scratch);
    OUTBOX(outbox, &scratch);
    struct script script = {0};
    struct tailslate_outbox_sender sender = sender_of(&script);
    char token[TAILSLATE_TOKEN_BYTES];
    struct tailslate_completion done = completion();
    cr_expect_eq(tailslate_outbox_seal(outbox, JOB, &done), -1, "nothing is claimed");
    tailslate_outbox_claim(outbox, JOB, TAILSLATE_ABSENT_INT, token);
    cr_expect_eq(tailslate_outbox_deliver(outbox, 0, &sender), -1);
    cr_expect_eq(script.sent, 0);
    cr_expect_eq(tailslate_outbox_abandon(outbox, JOB), 0);
    cr_expect_not(is_there(&scratch, "", "7"));
}

Test(outbox, what_an_earlier_life_left_unsealed_can_be_found_and_abandoned)
{
    SCRATCH(scratch);
    int64_t jobs[TAILSLATE_OUTBOX_JOBS_MAX];
    char token[TAILSLATE_TOKEN_BYTES];
    {
        OUTBOX(outbox, &scratch);
        claim_and_seal(outbox, token);
        tailslate_outbox_claim(outbox, JOB + 1, EPOCH, token);
    }
    OUTBOX(outbox, &scratch);
    cr_assert_eq(tailslate_outbox_unsealed(outbox, jobs), 1);
    cr_assert_eq(jobs[0], JOB + 1);
    cr_expect_eq(tailslate_outbox_abandon(outbox, jobs[0]), 0);
    cr_expect_eq(tailslate_outbox_unsealed(outbox, jobs), 0);
    cr_expect_not(is_there(&scratch, "", "8"));
    cr_expect(is_there(&scratch, "", "7"), "sealed work stays");
}

Test(outbox, a_completion_is_presented_until_its_own_token_is_acknowledged)
{
    SCRATCH(scratch);
    OUTBOX(outbox, &scratch);
    struct script script = {
        .bodies = {NULL, "<html>Bad gateway</html>", "<html>Welcome to this hotel</html>",
                   "{\"code\":\"store_unavailable\",\"detail\":\"later\"}", "{\"status\":\"ok\"}",
                   "{\"status\":\"ok\",\"token\":\"" OTHER_TOKEN "\"}", "<html>Conflict</html>",
                   "{\"status\":\"ok\",\"message\":\"Job already completed\","
                   "\"token\":\"%s\"}"},
        .statuses = {0, 502, 200, 503, 200, 200, 409, 200},
    };
    struct tailslate_outbox_sender sender = sender_of(&script);
    claim_and_seal(outbox, script.token);
    int64_t now_ms = 0, wait_ms;
    while ((wait_ms = tailslate_outbox_deliver(outbox, now_ms, &sender)) >= 0) {
        cr_expect(is_there(&scratch, "", "7"));
        cr_expect_leq(wait_ms, CAP_MS);
        cr_expect_neq(script.report.outcome, TAILSLATE_OUTBOX_ACKNOWLEDGED);
        int sent = script.sent;
        if (wait_ms > 0)
            cr_expect_eq(tailslate_outbox_deliver(outbox, now_ms + wait_ms - 1, &sender), 1);
        cr_expect_eq(script.sent, sent, "nothing before its time");
        now_ms += wait_ms;
    }
    cr_expect_eq(script.sent, 8);
    cr_expect_eq(script.report.outcome, TAILSLATE_OUTBOX_ACKNOWLEDGED);
    for (int i = 0; i < script.sent; i++)
        cr_expect_str_eq(script.tokens[i], script.token);
    cr_expect_not(is_there(&scratch, "", "7"));
}

static const struct verdict {
    long status;
    enum tailslate_outbox_outcome outcome;
    const char *body;
} verdicts[] = {
    {401, TAILSLATE_OUTBOX_HELD, "{\"code\":\"unauthorized\"}"},
    {403, TAILSLATE_OUTBOX_HELD, "{\"code\":\"not_your_job\"}"},
    {404, TAILSLATE_OUTBOX_HELD, "{\"code\":\"job_not_found\"}"},
    {404, TAILSLATE_OUTBOX_HELD, "<html>Not found</html>"},
    {409, TAILSLATE_OUTBOX_REFUSED, "{\"code\":\"claim_lost\"}"},
    {410, TAILSLATE_OUTBOX_REFUSED, "{\"code\":\"job_gone\"}"},
    {422, TAILSLATE_OUTBOX_REFUSED, "{\"code\":\"token_reused\"}"},
    {422, TAILSLATE_OUTBOX_UPLOAD, "{\"code\":\"output_missing\",\"qualities\":[\"360p\"]}"},
    {409, TAILSLATE_OUTBOX_CLAIM_GONE, "{\"detail\":\"Job is not claimed by this worker\"}"},
    {502, TAILSLATE_OUTBOX_AGAIN, "{\"code\":\"claim_lost\"}"},
};

Test(outbox, each_refusal_has_its_outcome_and_nothing_sealed_is_deleted)
{
    for (size_t i = 0; i < COUNT_OF(verdicts); i++) {
        SCRATCH(scratch);
        OUTBOX(outbox, &scratch);
        struct script script = {.bodies = {verdicts[i].body}, .statuses = {verdicts[i].status}};
        struct tailslate_outbox_sender sender = sender_of(&script);
        claim_and_seal(outbox, script.token);
        int64_t wait_ms = tailslate_outbox_deliver(outbox, 0, &sender);
        bool is_final = verdicts[i].outcome == TAILSLATE_OUTBOX_REFUSED;
        cr_expect_eq(script.report.outcome, verdicts[i].outcome, "%s", verdicts[i].body);
        cr_expect_eq(wait_ms < 0, is_final, "%s", verdicts[i].body);
        cr_expect_eq(is_there(&scratch, "", "7"), !is_final, "%s", verdicts[i].body);
        cr_expect_eq(is_there(&scratch, "refused/", script.token), is_final);
        if (script.report.outcome == TAILSLATE_OUTBOX_HELD)
            cr_expect_geq(wait_ms, CAP_MS / 2, "a person acts slowly");
        if (script.report.outcome == TAILSLATE_OUTBOX_UPLOAD)
            cr_expect_eq(script.report.missing, 1u << TAILSLATE_QUALITY_360P);
    }
}

Test(outbox, a_stock_server_is_believed_only_past_its_cache)
{
    SCRATCH(scratch);
    OUTBOX(outbox, &scratch);
    const char *already = "{\"status\":\"ok\",\"message\":\"Job already completed\"}";
    struct script script = {.bodies = {already, already}, .statuses = {200, 200}};
    struct tailslate_outbox_sender sender = sender_of(&script);
    claim_and_seal(outbox, script.token);
    int64_t wait_ms = tailslate_outbox_deliver(outbox, 0, &sender);
    cr_expect_geq(wait_ms, 60000);
    cr_expect_eq(tailslate_outbox_deliver(outbox, wait_ms, &sender), -1);
    cr_expect_str_eq(script.tokens[0], script.token);
    cr_expect_str_eq(script.tokens[1], "");
    cr_expect_not(strstr(script.last_body, script.token));
    cr_expect_eq(script.report.outcome, TAILSLATE_OUTBOX_ACKNOWLEDGED);
}

Test(outbox, only_one_process_has_it_open)
{
    SCRATCH(scratch);
    char reason[TAILSLATE_REASON_BYTES] = "";
    OUTBOX(outbox, &scratch);
    TEXT(path) = must_printf("%s/outbox", scratch.path);
    cr_expect_null(tailslate_outbox_open(path, reason));
    cr_expect(strstr(reason, "another process"), "%s", reason);
}

Test(outbox, it_is_bounded_and_keeps_what_it_cannot_read)
{
    SCRATCH(scratch);
    char token[TAILSLATE_TOKEN_BYTES];
    struct script script = {0};
    struct tailslate_outbox_sender sender = sender_of(&script);
    tailslate_outbox_close(open_in(&scratch));
    for (int i = 1; i <= TAILSLATE_OUTBOX_JOBS_MAX; i++) {
        TEXT(name) = must_printf("outbox/%d.json", i);
        scratch_put_text(&scratch, name, "{\"token\":\"no\"}");
    }
    OUTBOX(outbox, &scratch);
    cr_expect_eq(tailslate_outbox_claim(outbox, TAILSLATE_OUTBOX_JOBS_MAX + 1, 1, token),
                 TAILSLATE_OUTBOX_FAILED);
    cr_expect(strstr(tailslate_outbox_error(outbox), "full"));
    cr_expect_geq(tailslate_outbox_deliver(outbox, 0, &sender), 0);
    cr_expect_eq(script.reports, TAILSLATE_OUTBOX_JOBS_MAX);
    cr_expect_eq(script.report.outcome, TAILSLATE_OUTBOX_LOCAL);
    cr_expect_eq(script.sent, 0);
    cr_expect(is_there(&scratch, "", "1024"));
}

/* What a server and a person outside have seen of a worker's lives. */
struct world {
    char token[TAILSLATE_TOKEN_BYTES]; /* the first that a claim returned or a post carried */
    int commits, replays;
    bool token_changed;
};

static void see_token(struct world *world, const char *token)
{
    if (!world->token[0])
        memcpy(world->token, token, strlen(token) + 1);
    world->token_changed |= strcmp(world->token, token) != 0;
}

static void commit_once(void *ctx, const struct tailslate_outbox_post *post,
                        struct tailslate_outbox_answer *answer)
{
    struct world *world = ctx;
    see_token(world, post->token);
    if (world->commits == 0)
        world->commits++;
    else
        world->replays++;
    answer->reach = TAILSLATE_REACH_ANSWERED;
    answer->status = 200;
    memcpy(answer->content_type, "application/json", 17);
    answer->body_size = (size_t)snprintf(answer->body, sizeof answer->body,
                                         "{\"status\":\"ok\",\"token\":\"%s\"}", post->token);
}

/* A worker's life: it claims, works, seals and delivers; a call that fails is made again. */
static void live(const struct scratch *scratch, struct world *world)
{
    char token[TAILSLATE_TOKEN_BYTES], reason[TAILSLATE_REASON_BYTES];
    struct tailslate_completion done = completion();
    struct tailslate_outbox_sender sender = {world, commit_once, NULL, {1, 1}};
    TEXT(path) = must_printf("%s/outbox", scratch->path);
    struct tailslate_outbox *outbox;
    while (!(outbox = tailslate_outbox_open(path, reason)))
        ;
    int64_t now_ms = 0, wait_ms = -1;
    if (world->commits == 0) {
        enum tailslate_outbox_claim claim;
        while ((claim = tailslate_outbox_claim(outbox, JOB, EPOCH, token)) < 0)
            ;
        see_token(world, token);
        while (claim == TAILSLATE_OUTBOX_OPEN && tailslate_outbox_seal(outbox, JOB, &done) < 0)
            ;
    }
    while ((wait_ms = tailslate_outbox_deliver(outbox, now_ms, &sender)) >= 0)
        now_ms += wait_ms;
    tailslate_outbox_close(outbox);
}

static bool is_killed(pid_t child)
{
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void expect_one_completion(const struct scratch *scratch, const struct world *world, int at)
{
    cr_expect_eq(world->commits, 1, "at %d", at);
    cr_expect_not(world->token_changed, "at %d", at);
    cr_expect_not(is_there(scratch, "", "7"), "at %d", at);
}

Test(outbox, it_may_be_killed_before_any_fsync_or_rename, .timeout = 60)
{
    struct world *world = mmap(NULL, sizeof *world, PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int at = 1;
    for (bool killed = true; killed; at++) {
        SCRATCH(scratch);
        *world = (struct world){0};
        pid_t child = fork();
        if (child == 0) {
            disk_watch(0, at);
            live(&scratch, world);
            _exit(0);
        }
        killed = is_killed(child);
        live(&scratch, world);
        expect_one_completion(&scratch, world, at);
    }
    cr_expect_gt(at, 10);
    munmap(world, sizeof *world);
}

Test(outbox, any_fsync_or_rename_may_fail, .timeout = 60)
{
    for (int at = 1; at <= 12; at++) {
        SCRATCH(scratch);
        struct world world = {0};
        disk_watch(at, 0);
        live(&scratch, &world);
        disk_watch(0, 0);
        expect_one_completion(&scratch, &world, at);
    }
}
