/* A disk that is full or too small, and a node that fails by itself: no attempt is burned.
 * TAILSLATE_TEST_DISK names a file with free and capacity: no test can fill a real disk. */
#include "base/clock.h"
#include "base/crash.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "rig.h"
#include "scripted.h"
#include "transcoder.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { DONE_MS = 60 * 1000 };

static void disk_is(struct rig *rig, const char *free_and_capacity)
{
    TEXT(path) = rig_path(rig, "disk");
    TEXT(temp) = rig_path(rig, "disk.new");
    file_write(temp, free_and_capacity, 0600);
    cr_assert_eq(rename(temp, path), 0);
    rig_set_env(rig, "TAILSLATE_TEST_DISK", path);
}

Test(disk, a_source_that_does_not_fit_is_waited_for_and_nothing_else_is_claimed, .timeout = 180)
{
    struct rig *rig = rig_new();
    disk_is(rig, "1000 100000000000");
    rig_agent_set(rig, "node.slots", "2");
    rig_agent_set(rig, "claim.wait_seconds",
                  "0"); /* the peer does not tell of a client's hang-up */
    rig_verifier_set(rig, "claims.duration_minutes", "0.1");
    rig_put_peer_between(rig);
    rig_start_verifier(rig);
    int64_t first = rig_add_job(rig, media_clip(MEDIA_TINY), "one");
    rig_start_agent(rig);
    rig_expect(rig, "event=step.waiting_for_disk need_bytes=", DONE_MS, NULL);
    peer_wait_more(rig->peer, "POST *heartbeat", 4, DONE_MS);
    int64_t second = rig_add_job(rig, media_clip(MEDIA_TINY), "two");
    RUN(status) = rig_agent(rig, (const char *[]){"status", NULL});
    cr_assert(strstr(status.out, "WAITING FOR DISK SPACE") &&
                  strstr(status.out, "a job is waiting for space on this node's disk"),
              "%s", status.out);
    RUN(list) = rig_agent(rig, (const char *[]){"spool", "ls", NULL});
    cr_assert(strstr(list.out, "waiting for space on this node's disk: ") &&
                  strstr(list.out, "free space in node.state_dir"),
              "%s", list.out);
    /* Longer than a claim lasts: it is kept alive. */
    peer_wait_more(rig->peer, "POST *progress", 4, DONE_MS);
    cr_assert_eq(
        inspect_int(rig, "SELECT count(*) FROM transcoding_jobs WHERE claimed_at NOT NULL"), 1,
        "it claimed another");
    cr_assert_eq(peer_count(rig->peer, "POST *fail"), 0);
    disk_is(rig, "90000000000 100000000000");
    rig_wait_completed(rig, first);
    rig_wait_completed(rig, second);
    cr_assert_eq(inspect_int(rig, "SELECT max(attempt_number) FROM transcoding_jobs"), 1);
    cr_assert_eq(rig_count_lines(rig, "event=job.final outcome=failed"), 0);
    rig_end(rig);
}

/* ---- a source that does not say its size ---- */

static struct rig *with_a_chunked_source(const char *free_and_capacity)
{
    struct rig *rig = rig_new();
    TEXT(script) = must_printf("chunked %s", media_clip(MEDIA_NORMAL));
    disk_is(rig, free_and_capacity);
    peer_set_upstream(rig_put_peer_between(rig), 0);
    scripted_server(rig->peer, SCRIPTED_STOCK_CLAIM "; " SCRIPTED_NO_JOB, "200 ack");
    peer_script(rig->peer, "GET *source/3", script);
    peer_script(rig->peer, "POST *fail", "200 {\"status\":\"ok\",\"will_retry\":true}");
    return rig;
}

Test(disk, a_source_without_a_size_waits_for_free_space_as_any_other, .timeout = 120)
{
    struct rig *rig = with_a_chunked_source("1000 100000000000");
    rig_start_agent(rig);
    rig_expect(rig, "event=step.waiting_for_disk need_bytes=", DONE_MS, NULL);
    TEXT(record) = inspect_record(rig, "spool");
    TEXT(part) = must_printf("%s/source.part", record);
    struct stat status;
    cr_assert_eq(stat(part, &status), 0);
    cr_assert_eq(status.st_size, 0, "what has come takes the space that is waited for");
    cr_assert_eq(peer_count(rig->peer, "POST *fail"), 0);
    disk_is(rig, "90000000000 100000000000");
    rig_wait_final(rig, 7);
    cr_assert_eq(rig_count_lines(rig, "event=job.final outcome=completed"), 1);
    inspect_wait_spool(rig, "spool", 0, DONE_MS);
    rig_end(rig);
}

Test(disk, a_source_without_a_size_has_a_limit_of_its_own, .timeout = 120)
{
    struct rig *rig = with_a_chunked_source("90000000000 100000000000");
    rig_agent_set(rig, "limits.unsized_source_gb", "0.00002");
    rig_start_agent(rig);
    char line[LINE_BYTES];
    rig_expect(rig, "event=step.failed retry=yes", DONE_MS, line);
    cr_assert(strstr(line, "the source is larger than 2e-05 GB") &&
                  strstr(line, "limits.unsized_source_gb"),
              "%s", line);
    rig_expect(rig, "event=job.final outcome=failed", DONE_MS, NULL);
    cr_assert_eq(peer_count(rig->peer, "POST *fail"), 1);
    rig_end(rig);
}

/* Two slots: space reserved by one download is not free for the other. */
Test(disk, the_space_for_a_whole_source_is_reserved_with_its_first_bytes, .timeout = 120)
{
    struct rig *rig = rig_new();
    TEXT(flag) = rig_path(rig, "crash.flag");
    file_write(flag, "", 0600);
    TEXT(crash) = must_printf("%d:%s", CRASH_STEP_SOURCE_PARTIAL, flag);
    rig_set_env(rig, "TAILSLATE_CRASH", crash);
    rig_put_peer_between(rig);
    peer_script(rig->peer, "GET *source*", "503; 503; 503; 503; 503; 503; 503; 503");
    int64_t job = rig_begin(rig, media_clip(MEDIA_TINY));
    rig_expect(rig, "event=step.server_trouble", DONE_MS, NULL);
    rig_kill_agent(rig); /* or it would start the step again */
    peer_script(rig->peer, "GET *source*", "pass");
    cr_assert(inspect_wait_file(flag, false, DONE_MS), "no part of the source has come");

    struct stat whole, part;
    TEXT(record) = inspect_record(rig, "spool");
    TEXT(path) = must_printf("%s/source.part", record);
    cr_assert_eq(stat(media_clip(MEDIA_TINY), &whole), 0);
    cr_assert_eq(stat(path, &part), 0);
    cr_assert_lt(part.st_size, whole.st_size);
    cr_assert_geq(part.st_blocks * 512, whole.st_size);

    /* What it has taken it need not find free again: there is space for the output only. (A part
     * whose ETag was asked for in vain is begun again, and gives back what it has taken.) */
    TEXT(note) = must_printf("%s/source.json", record);
    bool goes_on = access(note, F_OK) == 0;
    int64_t free_bytes = goes_on ? whole.st_size : 2 * whole.st_size;
    TEXT(capacity) = must_printf("%lld 100000000000", (long long)free_bytes);
    disk_is(rig, capacity);
    rig_start_agent(rig);
    rig_wait_completed(rig, job);
    rig_end(rig);
}

Test(disk, a_source_larger_than_the_whole_disk_is_another_node_s, .timeout = 120)
{
    struct rig *rig = rig_new();
    disk_is(rig, "1000 2000");
    rig_begin(rig, media_clip(MEDIA_TINY));
    rig_expect(rig, "event=job.final outcome=failed", DONE_MS, NULL);
    rig_expect(rig, "event=claims.suspended", DONE_MS, NULL);
    rig_stop_agent(rig);
    rig_end(rig);
}

/* The transcoder finds the disk full, once; the next time there is space. */
Test(disk, full_in_the_middle_of_the_work_it_begins_again_in_the_same_claim, .timeout = 120)
{
    struct rig *rig = rig_new();
    transcoder_does(rig,
                    "if mkdir '%s/was-full' 2>/dev/null; then "
                    "echo 'av_interleaved_write_frame(): No space left on device' >&2; exit 1; fi",
                    rig->dir);
    int64_t job = rig_begin(rig, media_clip(MEDIA_TINY));
    rig_expect(rig, "event=step.disk_full", DONE_MS, NULL);
    rig_wait_completed(rig, job);
    cr_assert_eq(inspect_int(rig, "SELECT attempt_number FROM transcoding_jobs"), 1);
    rig_end(rig);
}

Test(disk, after_two_failures_of_its_own_the_node_rests_and_says_why, .timeout = 120)
{
    struct rig *rig = rig_new();
    transcoder_does(rig, "kill -9 $$");
    rig_put_peer_between(rig);
    rig_start_verifier(rig);
    for (int i = 0; i < 3; i++) {
        TEXT(slug) = must_printf("film-%d", i);
        rig_add_job(rig, media_clip(MEDIA_TINY), slug);
    }
    rig_start_agent(rig);
    rig_expect(rig, "event=claims.suspended failures=2", DONE_MS, NULL);
    peer_wait_more(rig->peer, "POST *heartbeat", 6, DONE_MS);
    cr_assert_eq(rig_count_lines(rig, "event=step.failed"), 2, "it went on burning attempts");
    RUN(status) = rig_agent(rig, (const char *[]){"status", NULL});
    cr_assert(strstr(status.out, "recent jobs failed because of this node") &&
                  strstr(status.out, "signal 9"),
              "%s", status.out);
    rig_stop_agent(rig);
    rig_end(rig);
}

static void put_kept(struct rig *rig, int number, int files, int age_s)
{
    TEXT(record) = rig_path(rig, "agent/kept/%d.1", number);
    cr_assert_eq(mkdir(record, 0700), 0);
    for (int i = 0; i < files; i++) {
        TEXT(file) = must_printf("%s/%d.m4s", record, i);
        file_write(file, "x", 0600);
    }
    struct timespec then[2];
    cr_assert_eq(clock_gettime(CLOCK_REALTIME, &then[0]), 0);
    then[0].tv_sec -= age_s;
    then[1] = then[0];
    cr_assert_eq(utimensat(AT_FDCWD, record, then, 0), 0);
}

Test(disk, retained_work_goes_bit_by_bit_the_oldest_first_and_no_more_than_is_needed,
     .timeout = 120)
{
    struct rig *rig = rig_new();
    rig_agent_set(rig, "node.min_free_disk_gb", "5");
    disk_is(rig, "90000000000 100000000000");
    rig_put_peer_between(rig);
    rig_start_verifier(rig);
    rig_start_agent(rig);
    put_kept(rig, 9, 10000,
             3600); /* the oldest, and it takes fifty ticks; the others wait so long */
    put_kept(rig, 3, 1, 60);
    put_kept(rig, 4, 1, 0);
    TEXT(oldest) = rig_path(rig, "agent/kept/9.1");
    disk_is(rig, "1000 100000000000");
    cr_assert(inspect_wait_file(oldest, false, DONE_MS), "nothing was removed");
    disk_is(rig, "90000000000 100000000000");
    rig_expect(rig, "event=disk.ok", DONE_MS, NULL);
    TEXT(next) = rig_path(rig, "agent/kept/3.1");
    struct stat status;
    cr_assert_eq(stat(next, &status), 0, "more was removed than was needed");
    rig_end(rig);
}
