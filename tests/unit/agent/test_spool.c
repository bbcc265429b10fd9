#include "fixture.h"

#include <errno.h>

static void add(const struct spool *spool, int64_t job_id, char id[SPOOL_ID_BYTES])
{
    struct error err;
    struct record_claim claim = fixture_claim(job_id, FIXTURE_UUID);
    OK(spool_add(spool, &claim, id, &err), err);
}

static size_t count_of(int dir)
{
    struct spool_entry *entries = NULL;
    size_t count;
    struct error err;
    OK(spool_list(dir, &entries, &count, NULL, &err), err);
    free(entries);
    return count;
}

static bool has(int dir, const char *name)
{
    struct stat status;
    return fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

Test(spool, a_new_record_is_there_whole_with_its_claim_and_token)
{
    SCRATCH(scratch);
    SPOOL(spool, scratch);
    struct error err;
    char id[SPOOL_ID_BYTES];
    add(&spool, 7, id);
    cr_expect_str_eq(id, "7.1");
    FD(dir) = spool_open_record(spool.live, id, &err);
    struct record_claim claim;
    OK(record_read_claim(dir, &claim, &err), err);
    cr_expect_str_eq(claim.token, "7-" FIXTURE_UUID);
}

Test(spool, numbers_count_up_over_all_directories)
{
    SCRATCH(scratch);
    SPOOL(spool, scratch);
    struct error err;
    char first[SPOOL_ID_BYTES], second[SPOOL_ID_BYTES], third[SPOOL_ID_BYTES];
    add(&spool, 7, first);
    OK(spool_retain(&spool, first, TAILSLATE_PROBLEM_CLAIM_LOST, "superseded", &err), err);
    add(&spool, 7, second);
    OK(spool_quarantine(&spool, second, "corrupt", &err), err);
    add(&spool, 7, third);
    cr_expect_str_eq(third, "7.3");
    cr_expect_eq(count_of(spool.retained), 1);
    cr_expect_eq(count_of(spool.quarantine), 1);
    char reason[SPOOL_REASON_BYTES];
    spool_read_reason(spool.retained, first, reason);
    cr_expect_str_eq(reason, "superseded");
    cr_expect_eq(spool_read_problem(spool.retained, first), TAILSLATE_PROBLEM_CLAIM_LOST);
    cr_expect_eq(spool_read_problem(spool.quarantine, second), TAILSLATE_PROBLEM_NONE);
}

Test(spool, what_a_crash_left_of_an_addition_or_a_removal_is_no_record_and_is_swept)
{
    SCRATCH(scratch);
    {
        SPOOL(spool, scratch);
        cr_assert_eq(mkdirat(spool.live, ".tmp-7.1", 0700), 0);
        cr_assert_eq(mkdirat(spool.live, ".tmp-removed-8.1", 0700), 0);
        FD(half) = openat(spool.live, ".tmp-7.1", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        fixture_write(half, "claim.json", "{");
        cr_expect_eq(count_of(spool.live), 0);
    }
    SPOOL(again, scratch);
    cr_expect_not(has(again.live, ".tmp-7.1"));
    cr_expect_not(has(again.live, ".tmp-removed-8.1"));
}

/* Deeper than any tree that is taken apart: stands for whatever cannot be removed. */
static void put_abyss(int dir, const char *name)
{
    enum { DEPTH = 40 };
    cr_assert_eq(mkdirat(dir, name, 0700), 0);
    FD(at) = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < DEPTH; i++) {
        cr_assert_eq(mkdirat(at, "d", 0700), 0);
        int next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(at);
        at = next;
    }
}

static void clear_abyss(const char *path)
{
    TEXT(left) = must_printf("%s/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d", path);
    TEXT(shallow) = must_printf("%s.rest", path);
    cr_assert_eq(rename(left, shallow), 0);
}

Test(spool, a_leftover_that_cannot_be_removed_does_not_stop_the_agent)
{
    SCRATCH(scratch);
    {
        SPOOL(spool, scratch);
        put_abyss(spool.live, ".tmp-removed-8.1");
    }
    SPOOL(again, scratch);
    cr_expect(has(again.live, ".tmp-removed-8.1"));
    TEXT(path) = must_printf("%s/spool/.tmp-removed-8.1", scratch.path);
    clear_abyss(path);
}

Test(spool, a_record_is_gone_even_where_its_rest_cannot_be_removed)
{
    SCRATCH(scratch);
    SPOOL(spool, scratch);
    struct error err;
    char id[SPOOL_ID_BYTES];
    add(&spool, 8, id);
    FD(dir) = spool_open_record(spool.live, id, &err);
    put_abyss(dir, "abyss");
    cr_expect_eq(spool_remove(&spool, id, &err), 0);
    cr_expect_eq(count_of(spool.live), 0);

    /* And the rest is not in the way of the next record of that number. */
    add(&spool, 8, id);
    cr_expect_str_eq(id, "8.1");
    OK(spool_remove(&spool, id, &err), err);
    cr_expect_eq(count_of(spool.live), 0);
    TEXT(path) = must_printf("%s/spool/.tmp-removed-8.1/abyss", scratch.path);
    clear_abyss(path);
}

Test(spool, the_list_is_by_job_and_number_and_leaves_foreign_names_alone)
{
    SCRATCH(scratch);
    SPOOL(spool, scratch);
    static const char *const directories[] = {
        "10.1", "9.2",  "9.10",  "9.1",  "lost+found", "9",
        "9.",   "09.1", "9.1.1", "-1.1", "9.0",        "99999999999999999999.1"};
    for (size_t i = 0; i < sizeof directories / sizeof directories[0]; i++)
        cr_assert_eq(mkdirat(spool.live, directories[i], 0700), 0, "%s", directories[i]);
    fixture_write(spool.live, "11.1", "a file");
    struct spool_entry *entries = NULL;
    size_t count, foreign;
    struct error err;
    OK(spool_list(spool.live, &entries, &count, &foreign, &err), err);
    static const char *const expected[] = {"9.1", "9.2", "9.10", "10.1"};
    cr_assert_eq(count, 4);
    for (size_t i = 0; i < count; i++)
        cr_expect_str_eq(entries[i].id, expected[i]);
    cr_expect_eq(foreign, 9);
    free(entries);
}

Test(spool, a_record_name_cannot_lead_elsewhere)
{
    SCRATCH(scratch);
    SPOOL(spool, scratch);
    struct error err;
    static const char *const names[] = {"..", "../kept", "7.1/../..", "/etc", ""};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        cr_expect_eq(spool_open_record(spool.live, names[i], &err), -1, "%s", names[i]);
}

Test(spool, a_removed_record_leaves_nothing)
{
    SCRATCH(scratch);
    SPOOL(spool, scratch);
    struct error err;
    char id[SPOOL_ID_BYTES];
    add(&spool, 7, id);
    FD(dir) = spool_open_record(spool.live, id, &err);
    cr_assert_eq(mkdirat(dir, RECORD_OUTPUT, 0700), 0);
    cr_assert_eq(mkdirat(dir, "other", 0700), 0);
    OK(spool_remove_outputs(&spool, id, &err), err);
    cr_expect_not(has(dir, RECORD_OUTPUT));
    cr_expect(has(dir, "claim.json"), "the record still says what it was");
    OK(spool_remove(&spool, id, &err), err);
    cr_expect_eq(count_of(spool.live), 0);
    cr_expect_not(has(spool.live, ".tmp-removed-7.1"));
}

Test(spool, two_agents_are_one_too_many)
{
    SCRATCH(scratch);
    SPOOL(spool, scratch);
    struct spool second;
    struct error err;
    cr_assert_eq(spool_open(scratch.path, SPOOL_OWN, &second, &err), -1);
    cr_expect_eq(err.class, ERROR_TEMPORARY);
    char pid[32];
    snprintf(pid, sizeof pid, "PID %d", (int)getpid());
    cr_expect(strstr(err.message, pid), "%s", err.message);
    cr_expect(strstr(err.message, scratch.path), "%s", err.message);
}

Test(spool, a_reader_changes_nothing_and_needs_no_lock)
{
    SCRATCH(scratch);
    SPOOL(spool, scratch);
    struct spool reader;
    struct error err;
    OK(spool_open(scratch.path, SPOOL_READ, &reader, &err), err);
    cr_expect_eq(reader.lock, -1);
    spool_close(&reader);
}

Test(spool, a_reader_of_nothing_makes_nothing)
{
    SCRATCH(scratch);
    struct spool reader;
    struct error err;
    cr_expect_eq(spool_open(scratch.path, SPOOL_READ, &reader, &err), -1);
    cr_expect_eq(scratch_count(&scratch), 0);
}

Test(spool, everything_is_ours_alone)
{
    SCRATCH(scratch);
    SPOOL(spool, scratch);
    char id[SPOOL_ID_BYTES];
    add(&spool, 7, id);
    static const char *const names[] = {"spool", "kept", "quarantine", "spool/7.1"};
    struct stat status;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        cr_assert_eq(fstatat(scratch.fd, names[i], &status, 0), 0);
        cr_expect_eq(status.st_mode & 0777, 0700, "%s", names[i]);
    }
    cr_assert_eq(fstatat(scratch.fd, "spool/7.1/claim.json", &status, 0), 0);
    cr_expect_eq(status.st_mode & 0777, 0600);
}

Test(spool, an_addition_that_fails_leaves_no_record)
{
    SCRATCH(scratch);
    SPOOL(spool, scratch);
    struct error err;
    char id[SPOOL_ID_BYTES];
    struct record_claim claim = fixture_claim(7, FIXTURE_UUID);
    fixture_write(spool.live, ".tmp-7.1", "in the way");
    cr_expect_eq(spool_add(&spool, &claim, id, &err), -1);
    cr_expect_eq(count_of(spool.live), 0);
    OK(spool_add(&spool, &claim, id, &err), err); /* and the way is free again */
}
