#include "fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static void expect_state(int dir, enum job_state expected)
{
    enum job_state state;
    struct error err;
    OK(record_state(dir, &state, &err), err);
    cr_assert_eq(state, expected, "%s", job_state_name(state));
}

static struct record_claim put_claim(int dir, const char *uuid)
{
    struct record_claim claim = fixture_claim(7, uuid);
    struct error err;
    OK(record_write_claim(dir, &claim, &err), err);
    return claim;
}

static void put_sealed(int dir)
{
    struct error err;
    struct record_outcome outcome = fixture_outcome();
    put_claim(dir, FIXTURE_UUID);
    OK(record_commit_outcome(dir, &outcome, &err), err);
    OK(record_seal_completion(dir, &err), err);
}

static char *read_body(int dir)
{
    char *body = NULL;
    size_t size;
    bool is_failure;
    struct error err;
    OK(record_read_sealed(dir, &body, &size, &is_failure, &err), err);
    cr_assert_not(is_failure);
    cr_assert_eq(strlen(body), size);
    return body;
}

Test(record, what_is_written_is_read_back)
{
    SCRATCH(scratch);
    struct error err;
    struct record_claim written = put_claim(scratch.fd, FIXTURE_UUID), read;
    OK(record_read_claim(scratch.fd, &read, &err), err);
    cr_expect_str_eq(read.token, written.token);
    cr_expect_eq(read.claim.job_id, 7);
    cr_expect_eq(read.claim.claim_epoch, 4);
    cr_expect_eq(read.claimed_at_us, written.claimed_at_us);
    cr_expect_str_eq(read.claim.video_slug, "a-film");
    struct record_outcome outcome = fixture_outcome(), again;
    OK(record_commit_outcome(scratch.fd, &outcome, &err), err);
    OK(record_read_outcome(scratch.fd, &again, &err), err);
    cr_expect_eq(again.transcode_ms, 4321);
    cr_expect_eq(again.completion.rendition_count, 1);
    cr_expect_eq(again.completion.renditions[0].bitrate_kbit, 2500);
}

Test(record, the_sealed_body_carries_the_claim_s_token_and_never_changes)
{
    SCRATCH(scratch);
    put_sealed(scratch.fd);
    TEXT(first) = read_body(scratch.fd);
    TEXT(second) = read_body(scratch.fd);
    cr_expect(strstr(first, "7-" FIXTURE_UUID));
    cr_expect_str_eq(first, second);
    expect_state(scratch.fd, JOB_SEALED);
}

Test(record, without_its_token_the_body_is_the_same)
{
    SCRATCH(scratch);
    struct error err;
    put_sealed(scratch.fd);
    TEXT(sealed) = read_body(scratch.fd);
    TEXT(tokenless) = NULL;
    OK(record_read_tokenless(scratch.fd, &tokenless, &err), err);
    cr_expect(strstr(sealed, "completion_token") && !strstr(tokenless, "completion_token"));
    struct tailslate_completion with, without;
    cr_assert_eq(tailslate_completion_parse(sealed, strlen(sealed), 7, &with, err.message),
                 TAILSLATE_PROBLEM_NONE);
    cr_assert_eq(tailslate_completion_parse(tokenless, strlen(tokenless), 7, &without, err.message),
                 TAILSLATE_PROBLEM_NONE);
    with.token[0] = '\0';
    TEXT(expected) = tailslate_completion_format(&with);
    TEXT(found) = tailslate_completion_format(&without);
    cr_expect_str_eq(found, expected);
}

Test(record, a_refusal_counts_from_its_first_time)
{
    SCRATCH(scratch);
    struct record_refusal first, second, read;
    cr_expect_not(record_read_refusal(scratch.fd, &read));
    record_note_refusal(scratch.fd, "HTTP 404: Job not found", &first);
    record_note_refusal(scratch.fd, "HTTP 403: Not your job", &second);
    cr_assert(record_read_refusal(scratch.fd, &read));
    cr_expect_eq(read.since_us, first.since_us);
    cr_expect_eq(read.at_us, second.at_us);
    cr_expect_str_eq(read.reason, "HTTP 403: Not your job");
    record_forget_refusal(scratch.fd);
    cr_expect_not(record_read_refusal(scratch.fd, &read));

    fixture_write(scratch.fd, RECORD_REFUSED,
                  "{\"since\":\"2999-01-01T00:00:00.000000+00:00\","
                  "\"at\":\"2999-01-01T00:00:00.000000+00:00\",\"reason\":\"\"}");
    record_note_refusal(scratch.fd, "HTTP 404", &second);
    cr_expect_eq(second.since_us, second.at_us, "the clock was put right");
}

Test(record, a_silence_is_of_one_token)
{
    SCRATCH(scratch);
    int64_t since_us = 0;
    cr_expect_not(record_read_silence(scratch.fd, "7-" FIXTURE_UUID, &since_us));
    record_note_silence(scratch.fd, "7-" FIXTURE_UUID, INT64_C(1767457680000000));
    cr_expect(record_read_silence(scratch.fd, "7-" FIXTURE_UUID, &since_us));
    cr_expect_eq(since_us, INT64_C(1767457680000000));
    cr_expect_not(record_read_silence(scratch.fd, "7-" FIXTURE_NEXT, &since_us));
}

Test(record, a_new_claim_keeps_the_work_and_changes_the_token)
{
    SCRATCH(scratch);
    struct error err;
    put_sealed(scratch.fd);
    struct record_claim next = fixture_claim(7, FIXTURE_NEXT);
    next.claim.claim_epoch = 5;
    OK(record_rebind(scratch.fd, &next, &err), err);
    expect_state(scratch.fd, JOB_SEALED);
    TEXT(body) = read_body(scratch.fd);
    cr_expect(strstr(body, "7-" FIXTURE_NEXT));
    cr_expect_not(strstr(body, FIXTURE_UUID));
    struct record_claim read;
    OK(record_read_claim(scratch.fd, &read, &err), err);
    cr_expect_eq(read.claim.claim_epoch, 5);
}

Test(record, a_claim_of_the_same_job_for_another_video_changes_nothing)
{
    SCRATCH(scratch);
    struct error err;
    put_sealed(scratch.fd);
    TEXT(first) = read_body(scratch.fd);
    struct record_claim video = fixture_claim(7, FIXTURE_NEXT), slug = video;
    video.claim.video_id++;
    snprintf(slug.claim.video_slug, sizeof slug.claim.video_slug, "another-film");
    const struct record_claim *others[] = {&video, &slug};
    for (size_t i = 0; i < 2; i++) {
        err.code = 0;
        cr_expect_eq(record_rebind(scratch.fd, others[i], &err), -1);
        cr_expect_eq(err.code, ENOTUNIQ, "%s", err.message);
        TEXT(body) = read_body(scratch.fd);
        cr_expect_str_eq(body, first);
    }
    expect_state(scratch.fd, JOB_SEALED);
}

Test(record, the_claim_of_a_retranscode_does_not_take_the_work_before_it)
{
    SCRATCH(scratch);
    struct error err;
    put_sealed(scratch.fd);
    TEXT(first) = read_body(scratch.fd);
    struct record_claim next = fixture_claim(7, FIXTURE_NEXT);
    next.claim.retranscodes = 1;
    cr_expect_eq(record_rebind(scratch.fd, &next, &err), -1);
    cr_expect_eq(err.code, ESTALE, "%s", err.message);
    cr_expect(record_is_for_another(&err));
    TEXT(body) = read_body(scratch.fd);
    cr_expect_str_eq(body, first);
}

Test(record, the_number_of_retranscodes_is_recorded_and_without_it_there_was_none)
{
    SCRATCH(scratch);
    struct error err;
    struct record_claim claim = fixture_claim(7, FIXTURE_UUID), read;
    claim.claim.retranscodes = 2;
    OK(record_write_claim(scratch.fd, &claim, &err), err);
    OK(record_read_claim(scratch.fd, &read, &err), err);
    cr_expect_eq(read.claim.retranscodes, 2);
    fixture_write(scratch.fd, "claim.json",
                  "{\"token\":\"7-" FIXTURE_UUID "\",\"claimed_at\":"
                  "\"2026-01-03T16:28:00.000000+00:00\",\"claim\":"
                  "{\"job_id\":7,\"video_id\":3,\"video_slug\":\"a-film\"}}");
    OK(record_read_claim(scratch.fd, &read, &err), err);
    cr_expect_eq(read.claim.retranscodes, 0, "of an older agent");
}

Test(record, a_re_binding_that_was_cut_short_is_sealed_anew_on_reading)
{
    SCRATCH(scratch);
    put_sealed(scratch.fd);
    put_claim(scratch.fd, FIXTURE_NEXT); /* and here the power went */
    TEXT(body) = read_body(scratch.fd);
    cr_expect(strstr(body, "7-" FIXTURE_NEXT), "%s", body);
    cr_expect(strstr(scratch_get(&scratch, "completion.json"), FIXTURE_NEXT),
              "the disk says what was sent");
}

Test(record, a_job_that_has_failed_takes_no_new_claim)
{
    SCRATCH(scratch);
    struct error err;
    struct message_failure failure = {.reason = "no video in it", .retry = false};
    struct record_claim next = fixture_claim(7, FIXTURE_NEXT);
    put_claim(scratch.fd, FIXTURE_UUID);
    OK(record_seal_failure(scratch.fd, &failure, &err), err);
    cr_expect_eq(record_rebind(scratch.fd, &next, &err), -1);
    cr_expect_eq(err.code, EBUSY);
    expect_state(scratch.fd, JOB_FAILED);
}

Test(record, after_a_sealed_success_a_failure_aborts_before_it_writes, .signal = SIGABRT)
{
    SCRATCH(scratch);
    struct error err;
    struct message_failure failure = {.reason = "too late"};
    put_sealed(scratch.fd);
    prctl(PR_SET_DUMPABLE, 0);
    record_seal_failure(scratch.fd, &failure, &err);
}

Test(record, what_the_server_misses_opens_the_record_and_closes_again)
{
    SCRATCH(scratch);
    struct error err;
    tailslate_quality_set missing = 0;
    put_sealed(scratch.fd);
    TEXT(before) = read_body(scratch.fd);
    OK(record_mark_missing(scratch.fd, 1u << TAILSLATE_QUALITY_720P, &err), err);
    expect_state(scratch.fd, JOB_REOPENED);
    OK(record_read_missing(scratch.fd, &missing, &err), err);
    cr_expect_eq(missing, 1u << TAILSLATE_QUALITY_720P);
    OK(record_clear_missing(scratch.fd, &err), err);
    expect_state(scratch.fd, JOB_SEALED);
    TEXT(after) = read_body(scratch.fd);
    cr_expect_str_eq(before, after);
}

Test(record, an_acknowledgment_is_kept_as_it_came)
{
    SCRATCH(scratch);
    struct error err;
    TEXT(answer) = NULL;
    size_t size;
    put_sealed(scratch.fd);
    OK(record_acknowledge(scratch.fd, "{\"status\":\"ok\"}", 15, &err), err);
    expect_state(scratch.fd, JOB_ACKNOWLEDGED);
    OK(record_read_acknowledgment(scratch.fd, &answer, &size, &err), err);
    cr_expect_str_eq(answer, "{\"status\":\"ok\"}");
}

Test(record, a_lost_claim_says_why_in_whole_characters)
{
    SCRATCH(scratch);
    struct error err;
    enum tailslate_problem why;
    char detail[256], longer[400];
    put_claim(scratch.fd, FIXTURE_UUID);
    for (size_t i = 0; i + 2 < sizeof longer; i += 2)
        memcpy(longer + i, "\xC3\xBC", 3);
    OK(record_mark_lost(scratch.fd, TAILSLATE_PROBLEM_CLAIM_LOST, longer, &err), err);
    OK(record_read_lost(scratch.fd, &why, detail, &err), err);
    cr_expect_eq(why, TAILSLATE_PROBLEM_CLAIM_LOST);
    cr_expect_eq(strlen(detail) % 2, 0, "%zu", strlen(detail));
    cr_expect_geq(strlen(detail), 252);
}

Test(record, files_of_a_wrong_form_are_told_apart_from_a_failing_disk)
{
    static const struct {
        const char *name, *text;
    } cases[] = {
        {"claim.json", "{\"claim\": 7, half of"},
        {"claim.json", ""},
        {"claim.json", "[]"},
        {"claim.json", "{\"claim\":{\"job_id\":7},\"token\":\"8-" FIXTURE_UUID
                       "\",\"claimed_at\":\"2026-01-03T16:28:00Z\"}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        SCRATCH(scratch);
        struct record_claim claim;
        struct error err;
        scratch_put_text(&scratch, cases[i].name, cases[i].text);
        cr_expect_eq(record_read_claim(scratch.fd, &claim, &err), -1, "case %zu", i);
        cr_expect_eq(err.class, ERROR_PERMANENT, "case %zu: %s", i, err.message);
        cr_expect(strstr(err.message, "claim.json"), "%s", err.message);
    }
}

Test(record, files_that_make_no_state_are_refused)
{
    SCRATCH(scratch);
    enum job_state state;
    struct error err;
    scratch_put_text(&scratch, "completion.json", "{}");
    cr_expect_eq(record_state(scratch.fd, &state, &err), -1);
    cr_expect_eq(err.class, ERROR_PERMANENT);
}

/* A disk that cannot say what is there does not say that nothing is there: a finished transcode
 * would look like one that has not begun. */
Test(record, what_cannot_be_looked_at_is_not_taken_for_absent)
{
    SCRATCH(scratch);
    enum job_state state;
    struct error err;
    scratch_put_text(&scratch, "file", "");
    FD(no_directory) = openat(scratch.fd, "file", O_RDONLY | O_CLOEXEC);
    cr_expect_eq(record_state(no_directory, &state, &err), -1);
    cr_expect_eq(err.code, ENOTDIR, "%s", err.message);
}

Test(record, a_sealed_body_that_is_no_completion_is_never_sent)
{
    SCRATCH(scratch);
    char *body = NULL;
    size_t size;
    bool is_failure;
    struct error err;
    put_sealed(scratch.fd);
    fixture_write(scratch.fd, "completion.json", "{\"qualities\": \"half of\"");
    cr_expect_eq(record_read_sealed(scratch.fd, &body, &size, &is_failure, &err), -1);
    cr_expect_eq(err.class, ERROR_PERMANENT);
}

Test(record, the_second_lock_is_refused_and_asking_takes_nothing)
{
    SCRATCH(scratch);
    struct error err;
    cr_expect_not(record_is_locked(scratch.fd), "nobody has ever locked it");
    FD(lock) = record_lock(scratch.fd, &err);
    cr_assert_geq(lock, 0);
    cr_expect(record_is_locked(scratch.fd));
    cr_expect_eq(record_lock(scratch.fd, &err), -1);
    cr_expect_eq(err.code, EWOULDBLOCK);
    close(steal_fd(&lock));
    cr_expect_not(record_is_locked(scratch.fd));
    FD(again) = record_lock(scratch.fd, &err);
    cr_expect_geq(again, 0);
}

Test(record, an_identity_is_that_process_and_no_later_one)
{
    SCRATCH(scratch);
    struct error err;
    struct process_identity identity;
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    OK(record_write_identity(scratch.fd, "step", pid, &err), err);
    OK(record_read_identity(scratch.fd, "step", &identity, &err), err);
    FD(pidfd) = process_identity_open(&identity);
    cr_expect_geq(pidfd, 0);
    struct process_identity reused = identity;
    reused.start_ticks++;
    cr_expect_eq(process_identity_open(&reused), -1, "the pid alone decided");
    struct process_identity rebooted = identity;
    rebooted.boot_id[0] = rebooted.boot_id[0] == 'x' ? 'y' : 'x';
    cr_expect_eq(process_identity_open(&rebooted), -1, "another boot's pid was taken for it");
    kill(pid, SIGKILL);
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
    cr_expect_eq(process_identity_open(&identity), -1, "it is dead");
}

Test(record, no_identity_is_told_apart)
{
    SCRATCH(scratch);
    struct error err;
    struct process_identity identity;
    cr_expect_eq(record_read_identity(scratch.fd, "transcoder", &identity, &err), -1);
    cr_expect_eq(err.code, ENOENT);
}

Test(record, progress_is_for_a_glance)
{
    SCRATCH(scratch);
    struct error err;
    struct record_progress written = {.progress = {.step = WORK_TRANSCODE,
                                                   .percent = 51,
                                                   .duration = TAILSLATE_ABSENT_NUMBER,
                                                   .source_width = TAILSLATE_ABSENT_INT,
                                                   .source_height = TAILSLATE_ABSENT_INT},
                                      .speed = 2.5,
                                      .eta_seconds = 31,
                                      .updated_at_us = INT64_C(1767457680000000)};
    struct record_progress read;
    OK(record_write_progress(scratch.fd, &written, &err), err);
    OK(record_read_progress(scratch.fd, &read, &err), err);
    cr_expect_eq(read.progress.percent, 51);
    cr_expect_eq(read.progress.step, WORK_TRANSCODE);
    cr_expect_eq(read.eta_seconds, 31);
    cr_expect_eq(read.updated_at_us, written.updated_at_us);
}
