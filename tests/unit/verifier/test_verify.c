/* Every row of docs/PROMISES.md#the-verdicts, for completions and for every other call about a
 * job. */
#include "tailslate/verify.h"

#include <criterion/criterion.h>

struct row {
    const char *what;
    struct tailslate_verify_request request;
    struct tailslate_verify_facts facts;
    enum tailslate_standing standing;
    enum tailslate_verdict verdict;
};

#define FITS                                                                                       \
    {                                                                                              \
        .epoch_given = true, .epoch = 3                                                            \
    }
#define OLDER                                                                                      \
    {                                                                                              \
        .epoch_given = true, .epoch = 2                                                            \
    }
#define NEWER                                                                                      \
    {                                                                                              \
        .epoch_given = true, .epoch = 4                                                            \
    }
#define NONE                                                                                       \
    {                                                                                              \
        0                                                                                          \
    }
#define MINE  .job_found = true, .last_holder = TAILSLATE_HOLDER_CALLER, .epoch = 3
#define CLAIM MINE, .holder = TAILSLATE_HOLDER_CALLER

static const struct row rows[] = {
    {"1 claimed, epoch fits", FITS, {CLAIM}, TAILSLATE_STANDING_HELD, TAILSLATE_VERDICT_COMMIT},
    {"1 claimed, no epoch (stock)",
     NONE,
     {CLAIM},
     TAILSLATE_STANDING_HELD,
     TAILSLATE_VERDICT_COMMIT},
    {"2 completed, same token and content",
     FITS,
     {MINE, .closed = true, .token_known = true, .fingerprint_same = true},
     TAILSLATE_STANDING_COMPLETED,
     TAILSLATE_VERDICT_REPLAY},
    {"2 completed, and the video deleted since",
     FITS,
     {MINE, .closed = true, .video_deleted = true, .token_known = true, .fingerprint_same = true},
     TAILSLATE_STANDING_COMPLETED,
     TAILSLATE_VERDICT_REPLAY},
    {"3 completed, same token, other content",
     FITS,
     {MINE, .closed = true, .token_known = true},
     TAILSLATE_STANDING_COMPLETED,
     TAILSLATE_VERDICT_TOKEN_REUSED},
    {"4 completed, other token",
     FITS,
     {MINE, .closed = true},
     TAILSLATE_STANDING_COMPLETED,
     TAILSLATE_VERDICT_REPLAY},
    {"4 completed, no epoch",
     NONE,
     {MINE, .closed = true},
     TAILSLATE_STANDING_COMPLETED,
     TAILSLATE_VERDICT_REPLAY},
    {"5 expired",
     FITS,
     {CLAIM, .claim_expired = true},
     TAILSLATE_STANDING_LATE,
     TAILSLATE_VERDICT_COMMIT_LATE},
    {"5 expired, no epoch",
     NONE,
     {CLAIM, .claim_expired = true},
     TAILSLATE_STANDING_LATE,
     TAILSLATE_VERDICT_COMMIT_LATE},
    {"5 released", FITS, {MINE}, TAILSLATE_STANDING_LATE, TAILSLATE_VERDICT_COMMIT_LATE},
    {"5 failed by the caller itself",
     FITS,
     {MINE, .failure_recorded = true},
     TAILSLATE_STANDING_FAILED,
     TAILSLATE_VERDICT_COMMIT_LATE},
    {"5 an older failure, claimed again with the same epoch",
     FITS,
     {CLAIM, .failure_recorded = true},
     TAILSLATE_STANDING_HELD,
     TAILSLATE_VERDICT_COMMIT},
    {"6 another holds it",
     FITS,
     {.job_found = true,
      .epoch = 3,
      .holder = TAILSLATE_HOLDER_OTHER,
      .last_holder = TAILSLATE_HOLDER_OTHER,
      .held = true},
     TAILSLATE_STANDING_SUPERSEDED,
     TAILSLATE_VERDICT_SUPERSEDED},
    {"6 another held it last",
     NONE,
     {.job_found = true, .epoch = 3, .last_holder = TAILSLATE_HOLDER_OTHER, .held = true},
     TAILSLATE_STANDING_SUPERSEDED,
     TAILSLATE_VERDICT_SUPERSEDED},
    {"6 ordered again, and claimed by nobody since",
     NONE,
     {MINE, .reopened = true},
     TAILSLATE_STANDING_SUPERSEDED,
     TAILSLATE_VERDICT_SUPERSEDED},
    {"6 another completed it, with whatever token",
     FITS,
     {.job_found = true,
      .epoch = 3,
      .last_holder = TAILSLATE_HOLDER_OTHER,
      .held = true,
      .closed = true},
     TAILSLATE_STANDING_SUPERSEDED,
     TAILSLATE_VERDICT_SUPERSEDED},
    {"6 an older claim of its own",
     OLDER,
     {CLAIM},
     TAILSLATE_STANDING_SUPERSEDED,
     TAILSLATE_VERDICT_SUPERSEDED},
    {"6 an older claim of its own, completed",
     OLDER,
     {MINE, .closed = true},
     TAILSLATE_STANDING_SUPERSEDED,
     TAILSLATE_VERDICT_SUPERSEDED},
    {"6 another claimed it on a stock server that kept the last holder",
     NONE,
     {.job_found = true,
      .epoch = 3,
      .holder = TAILSLATE_HOLDER_OTHER,
      .last_holder = TAILSLATE_HOLDER_CALLER},
     TAILSLATE_STANDING_SUPERSEDED,
     TAILSLATE_VERDICT_SUPERSEDED},
    {"6 re-opened since this token's completion",
     FITS,
     {MINE, .token_known = true, .fingerprint_same = true},
     TAILSLATE_STANDING_LATE,
     TAILSLATE_VERDICT_SUPERSEDED},
    {"7 failed for good",
     FITS,
     {MINE, .closed = true, .video_failed = true},
     TAILSLATE_STANDING_GONE,
     TAILSLATE_VERDICT_GONE},
    {"7 failed for good, and the video queued again",
     FITS,
     {MINE, .closed = true, .requeued = true},
     TAILSLATE_STANDING_GONE,
     TAILSLATE_VERDICT_GONE},
    {"7 the video deleted",
     FITS,
     {CLAIM, .video_deleted = true},
     TAILSLATE_STANDING_GONE,
     TAILSLATE_VERDICT_GONE},
    {"10 no such job", FITS, {0}, TAILSLATE_STANDING_NO_JOB, TAILSLATE_VERDICT_NO_JOB},
    {"11 nobody ever held it",
     FITS,
     {.job_found = true, .epoch = 0},
     TAILSLATE_STANDING_NOT_YOURS,
     TAILSLATE_VERDICT_NOT_YOURS},
    {"11 another holds it, and the caller never did",
     NONE,
     {.job_found = true,
      .epoch = 3,
      .holder = TAILSLATE_HOLDER_OTHER,
      .last_holder = TAILSLATE_HOLDER_OTHER},
     TAILSLATE_STANDING_NOT_YOURS,
     TAILSLATE_VERDICT_NOT_YOURS},
    {"11 another has completed it, and the caller never held it, whatever epoch it says",
     FITS,
     {.job_found = true, .epoch = 3, .last_holder = TAILSLATE_HOLDER_OTHER, .closed = true},
     TAILSLATE_STANDING_NOT_YOURS,
     TAILSLATE_VERDICT_NOT_YOURS},
    {"11 a claim that the database has forgotten",
     NEWER,
     {CLAIM},
     TAILSLATE_STANDING_NOT_YOURS,
     TAILSLATE_VERDICT_NOT_YOURS},
    {"13 no qualities, none recorded",
     {.epoch_given = true, .epoch = 3, .qualities_empty = true},
     {CLAIM},
     TAILSLATE_STANDING_HELD,
     TAILSLATE_VERDICT_NO_QUALITIES},
    {"1 no qualities, some recorded",
     {.epoch_given = true, .epoch = 3, .qualities_empty = true},
     {CLAIM, .qualities_recorded = true},
     TAILSLATE_STANDING_HELD,
     TAILSLATE_VERDICT_COMMIT},
    {"14 files missing",
     FITS,
     {CLAIM, .files_missing = true},
     TAILSLATE_STANDING_HELD,
     TAILSLATE_VERDICT_FILES_MISSING},
    {"14 files missing, late",
     FITS,
     {MINE, .files_missing = true},
     TAILSLATE_STANDING_LATE,
     TAILSLATE_VERDICT_FILES_MISSING},
    {"2 a replay does not look at files",
     FITS,
     {MINE, .closed = true, .token_known = true, .fingerprint_same = true, .files_missing = true},
     TAILSLATE_STANDING_COMPLETED,
     TAILSLATE_VERDICT_REPLAY},
};

Test(verify, every_row_has_its_standing_and_its_verdict)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_expect_eq(tailslate_verify_standing(&rows[i].request, &rows[i].facts), rows[i].standing,
                     "%s", rows[i].what);
        cr_expect_eq(tailslate_verify_completion(&rows[i].request, &rows[i].facts), rows[i].verdict,
                     "%s", rows[i].what);
    }
}

Test(verify, every_verdict_is_reached_by_some_row)
{
    bool reached[TAILSLATE_VERDICT_COUNT] = {false}, stood[TAILSLATE_STANDING_COUNT] = {false};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        reached[rows[i].verdict] = true;
        stood[rows[i].standing] = true;
    }
    for (int i = 0; i < TAILSLATE_VERDICT_COUNT; i++)
        cr_expect(reached[i], "verdict %d", i);
    for (int i = 0; i < TAILSLATE_STANDING_COUNT; i++)
        cr_expect(stood[i], "standing %d", i);
}

Test(verify, the_answers_are_those_of_the_table)
{
    static const int status[TAILSLATE_VERDICT_COUNT] = {
        [TAILSLATE_VERDICT_TOKEN_REUSED] = 422, [TAILSLATE_VERDICT_SUPERSEDED] = 409,
        [TAILSLATE_VERDICT_GONE] = 410,         [TAILSLATE_VERDICT_NO_JOB] = 404,
        [TAILSLATE_VERDICT_NOT_YOURS] = 403,    [TAILSLATE_VERDICT_NO_QUALITIES] = 422,
        [TAILSLATE_VERDICT_FILES_MISSING] = 422};
    for (int i = 0; i < TAILSLATE_VERDICT_COUNT; i++) {
        enum tailslate_problem problem = tailslate_verify_problem((enum tailslate_verdict)i);
        cr_expect_eq(problem == TAILSLATE_PROBLEM_NONE ? 0 : tailslate_problem_status(problem),
                     status[i], "verdict %d", i);
        cr_expect(tailslate_verify_detail(problem) != NULL);
    }
}

/* A 409 makes a stock worker delete its files: only where the claim really is over. */
Test(verify, progress_and_uploads_are_refused_where_the_claim_is_over)
{
    static const int status[TAILSLATE_STANDING_COUNT] = {
        [TAILSLATE_STANDING_HELD] = 0,         [TAILSLATE_STANDING_LATE] = 0,
        [TAILSLATE_STANDING_FAILED] = 409,     [TAILSLATE_STANDING_COMPLETED] = 409,
        [TAILSLATE_STANDING_SUPERSEDED] = 409, [TAILSLATE_STANDING_GONE] = 410,
        [TAILSLATE_STANDING_NO_JOB] = 404,     [TAILSLATE_STANDING_NOT_YOURS] = 403};
    for (int i = 0; i < TAILSLATE_STANDING_COUNT; i++) {
        enum tailslate_problem problem = tailslate_verify_standing_problem(
            (enum tailslate_standing)i);
        cr_expect_eq(problem == TAILSLATE_PROBLEM_NONE ? 0 : tailslate_problem_status(problem),
                     status[i], "standing %d", i);
    }
}

/* Whatever else is true: what is superseded never commits, what is completed never changes. */
Test(verify, no_combination_of_facts_breaks_the_promises)
{
    for (unsigned bits = 0; bits < 1u << 10; bits++) {
        for (int holder = 0; holder < 9; holder++) {
            struct tailslate_verify_facts facts = {
                .job_found = true,
                .video_failed = bits & 1,
                .video_deleted = bits & 2,
                .closed = bits & 4,
                .claim_expired = bits & 8,
                .failure_recorded = bits & 16,
                .token_known = bits & 32,
                .fingerprint_same = bits & 64,
                .qualities_recorded = bits & 128,
                .requeued = (bits & 512) && (bits & 4),
                .holder = (enum tailslate_holder)(holder % 3),
                .last_holder = (enum tailslate_holder)(holder / 3),
                .epoch = 3};
            struct tailslate_verify_request request = {.epoch_given = bits & 256, .epoch = 2};
            enum tailslate_verdict verdict = tailslate_verify_completion(&request, &facts);
            bool commits = verdict == TAILSLATE_VERDICT_COMMIT ||
                           verdict == TAILSLATE_VERDICT_COMMIT_LATE;
            cr_assert(!commits || facts.last_holder == TAILSLATE_HOLDER_CALLER);
            cr_assert(!commits || facts.holder != TAILSLATE_HOLDER_OTHER);
            cr_assert(!commits || !facts.closed);
            cr_assert(!commits || !request.epoch_given);
            cr_assert(verdict != TAILSLATE_VERDICT_REPLAY ||
                      (facts.closed && !facts.video_failed && !facts.requeued));
        }
    }
}
