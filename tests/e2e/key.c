/* The worker's key is changed while the agent runs: nobody restarts it, nothing is lost. */
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "rig.h"
#include "transcoder.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WRONG_KEY "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

enum { HEARD_MS = 20 * 1000 };

/* As an operator does it: written beside, then renamed. */
static void put_key(struct rig *rig, const char *key)
{
    TEXT(fresh) = rig_path(rig, "node.key.new");
    TEXT(path) = rig_path(rig, "node.key");
    FD(file) = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    cr_assert(file >= 0 && dprintf(file, "%s\n", key) > 0);
    cr_assert_eq(rename(fresh, path), 0);
}

static void take_key(struct rig *rig, char key[128])
{
    TEXT(path) = rig_path(rig, "node.key");
    FD(file) = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert(file >= 0);
    ssize_t size = read(file, key, 127);
    cr_assert(size > 0);
    key[size] = '\0';
    key[strcspn(key, "\n")] = '\0';
}

Test(key, a_rotated_key_is_taken_up_without_a_restart, .timeout = 120)
{
    struct rig *rig = rig_new();
    char good[128];
    take_key(rig, good);
    put_key(rig, WRONG_KEY);
    int64_t job = rig_begin(rig, media_clip(MEDIA_TINY));
    rig_expect(rig, "event=server.trouble state=key_refused", HEARD_MS, NULL);
    put_key(rig, good);
    rig_expect(rig, "event=key.reloaded", HEARD_MS, NULL);
    rig_wait_completed(rig, job);
    cr_assert_eq(rig_count_lines(rig, "event=key.reloaded"), 1);
    rig_end(rig);
}

/* The new key, and the old one is over at once. */
static void rotate(struct rig *rig, char key[128])
{
    TEXT(path) = rig_path(rig, "rotated.key");
    RUN(run) = rig_verifier(rig, (const char *[]){"worker", "rotate", "node", "--overlap", "0",
                                                  "--key-file", path, NULL});
    cr_assert_eq(run.status, 0, "%s", run.err);
    TEXT(line) = file_read(path);
    snprintf(key, 128, "%.*s", (int)strcspn(line, "\n"), line);
}

static int64_t begin_transcode(struct rig *rig)
{
    transcoder_takes_time(rig, "2");
    int64_t job = rig_begin(rig, media_clip(MEDIA_LONG));
    transcoder_wait(rig);
    return job;
}

/* The worker stays who it is, so that what it transcodes stays its own. */
Test(key, a_transcode_in_progress_survives_the_rotation_of_its_key, .timeout = 120)
{
    struct rig *rig = rig_new();
    char fresh[128];
    int64_t job = begin_transcode(rig);
    rotate(rig, fresh);
    rig_expect(rig, "event=server.trouble state=key_refused", HEARD_MS, NULL);
    put_key(rig, fresh);
    rig_expect(rig, "event=key.reloaded", HEARD_MS, NULL);
    rig_wait_completed(rig, job);
    cr_assert_eq(transcoder_starts(rig), 1, "it was done again");
    cr_assert_eq(inspect_int(rig, "SELECT count(*) FROM workers"), 1);
    rig_end(rig);
}

/* 403 not_your_job: nothing is lost, and whoever put the wrong key there can put it right. */
Test(key, a_transcode_in_progress_survives_another_worker_s_key, .timeout = 120)
{
    struct rig *rig = rig_new();
    char fresh[128], other[128];
    int64_t job = begin_transcode(rig);
    rig_add_worker(rig, "other", other);
    put_key(rig, other);
    rotate(rig, fresh);
    process_expect(rig->verifier, "event=request.refused code=not_your_job", HEARD_MS, NULL);
    put_key(rig, fresh);
    rig_wait_completed(rig, job);
    cr_assert_eq(transcoder_starts(rig), 1, "it was done again");
    rig_end(rig);
}

/* What is held waits for minutes here, so that only the change of the key can bring it out: first
 * to a wrong one, when the completion alone is refused, then back. */
Test(key, a_held_completion_goes_out_with_the_new_key, .timeout = 120)
{
    struct rig *rig = rig_new();
    char good[128];
    take_key(rig, good);
    struct peer *peer = rig_put_peer_between(rig);
    rig_agent_set(rig, "retry.cap_seconds", "300");
    rig_start_verifier(rig);
    peer_script(peer, "POST *complete", "stall 2s; 401 code=unauthorized; pass");
    int64_t job = rig_add_job(rig, media_clip(MEDIA_TINY), "film");
    rig_start_agent(rig);
    peer_wait(peer, "POST *complete", 1, RIG_JOB_MS);
    put_key(rig, WRONG_KEY);
    rig_expect(rig, "event=key.reloaded", HEARD_MS, NULL);
    peer_wait(peer, "POST *complete", 3, HEARD_MS);
    cr_assert(strstr(peer_request(peer, "POST *complete", 2)->headers, WRONG_KEY));
    put_key(rig, good);
    rig_wait_completed(rig, job);
    rig_end(rig);
}
