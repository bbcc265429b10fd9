/* embed_verifier: the verifier's promises in somebody's own server.
 *
 * The server keeps its jobs where it likes; here that is one struct in memory, job 1, claimed by
 * the worker that asks. It reads completions line by line from standard input, as they would come
 * by POST /api/worker/1/complete, and prints the status and the body that it would answer.
 *
 *     cc embed_verifier.c $(pkg-config --cflags --libs tailslate) -o embed_verifier
 *     embed_verifier [lost] <completions        lost: another worker has claimed the job since */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tailslate/ledger.h>

struct job {
    struct tailslate_facts facts;
    struct tailslate_recorded completion; /* token "": none yet */
};
struct memory {
    struct job committed, working; /* a real server has BEGIN and COMMIT */
};

static int begin(void *ctx, enum tailslate_access access)
{
    struct memory *memory = ctx;
    (void)access;
    memory->working = memory->committed;
    return 0;
}

static int lock(void *ctx, const struct tailslate_request *request)
{
    (void)ctx; /* SELECT ... FOR UPDATE, or a mutex */
    (void)request;
    return 0;
}

static int facts(void *ctx, const struct tailslate_request *request, struct tailslate_facts *facts)
{
    struct memory *memory = ctx;
    *facts = memory->working.facts;
    facts->claim.job_found = request->job_id == 1;
    return 0;
}

static int recorded(void *ctx, const struct tailslate_request *request,
                    struct tailslate_recorded *recorded)
{
    struct memory *memory = ctx;
    (void)request;
    *recorded = memory->working.completion;
    return recorded->completed_at[0] != '\0';
}

static int missing(void *ctx, const struct tailslate_request *request,
                   tailslate_quality_set *missing)
{
    (void)ctx;
    (void)request;
    *missing = 0; /* of request->completion's renditions, those whose files are not there */
    return 0;
}

static int write_all(void *ctx, const struct tailslate_effect *effect)
{
    struct job *job = &((struct memory *)ctx)->working;
    struct tailslate_recorded *row = &job->completion;
    memcpy(row->token, effect->request->completion->token, sizeof row->token);
    memcpy(row->fingerprint, effect->request->fingerprint, sizeof row->fingerprint);
    memcpy(row->completed_at, effect->result->completed_at, sizeof row->completed_at);
    memcpy(job->facts.completed_at, row->completed_at, sizeof job->facts.completed_at);
    row->claim_epoch = effect->result->claim_epoch;
    row->late = effect->result->late;
    job->facts.claim.closed = true;
    job->facts.claim.holder = TAILSLATE_HOLDER_NOBODY;
    job->facts.renditions |= effect->written;
    return 1;
}

static enum tailslate_outcome commit(void *ctx)
{
    struct memory *memory = ctx;
    memory->committed = memory->working;
    return TAILSLATE_COMMITTED;
}

static void rollback(void *ctx)
{
    (void)ctx;
}

static void answer_problem(enum tailslate_problem problem)
{
    printf("%d {\"code\":\"%s\",\"detail\":\"%s\"}\n", tailslate_problem_status(problem),
           tailslate_problem_code(problem), tailslate_verify_detail(problem));
}

static void answer_completion(struct memory *memory, const char *body)
{
    const struct tailslate_ledger ledger = {memory,  begin,     lock,   facts,   recorded,
                                            missing, write_all, commit, rollback};
    struct tailslate_completion completion;
    struct tailslate_request request = {1, TAILSLATE_ABSENT_INT, &completion, ""};
    struct tailslate_result result;
    enum tailslate_problem problem = tailslate_completion_parse(body, strlen(body), request.job_id,
                                                                &completion, NULL);
    if (problem == TAILSLATE_PROBLEM_NONE)
        problem = tailslate_complete(&ledger, &request, &result) == 0
                      ? tailslate_verify_problem(result.verdict)
                      : TAILSLATE_PROBLEM_STORE_UNAVAILABLE;
    if (problem != TAILSLATE_PROBLEM_NONE) {
        answer_problem(problem);
        return;
    }
    struct tailslate_acknowledgment said = {.status_ok = true, .job_id = request.job_id};
    said.replayed = result.verdict == TAILSLATE_VERDICT_REPLAY;
    said.late = result.late;
    snprintf(said.message, sizeof said.message, "%s",
             said.replayed ? "Job already completed" : "Job completed successfully");
    memcpy(said.token, completion.token, sizeof said.token);
    memcpy(said.completed_at, result.completed_at, sizeof said.completed_at);
    char *text = tailslate_acknowledgment_format(&said);
    printf("200 %s\n", text);
    free(text);
}

int main(int argc, char **argv)
{
    struct memory memory = {0};
    struct tailslate_facts *job = &memory.committed.facts;
    bool lost = argc > 1 && strcmp(argv[1], "lost") == 0;
    job->claim.held = true;
    job->claim.epoch = 1;
    job->claim.holder = lost ? TAILSLATE_HOLDER_OTHER : TAILSLATE_HOLDER_CALLER;
    job->claim.last_holder = job->claim.holder;
    snprintf(job->now, sizeof job->now, "2026-01-03T16:28:00.123456+00:00"); /* the database's */
    for (char line[64 * 1024]; fgets(line, sizeof line, stdin);)
        answer_completion(&memory, line);
    return 0;
}
