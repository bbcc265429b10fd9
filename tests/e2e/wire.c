/* The edges of the wire: what is well-formed for HTTP and still not as the protocol has it. */
#include "base/clock.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "worker.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WAITS_MS = 120 * 1000, END_WITHIN_MS = 10 * 1000 };

struct scene {
    struct rig *rig;
    struct worker worker;
};

static struct scene scene_claimed(void)
{
    struct scene scene = {.rig = rig_new()};
    rig_start_verifier(scene.rig);
    scene.worker = worker_new(scene.rig, "alice");
    rig_add_job(scene.rig, media_clip(MEDIA_TINY), "film");
    cr_assert(worker_claim(&scene.worker));
    return scene;
}

static void shell(const struct scene *scene, const char *script)
{
    TEXT(line) = must_printf("set -e; mkdir -p '%s/w'; cd '%s/w'; %s", scene->rig->dir,
                             scene->rig->dir, script);
    RUN(run) = run_program((const char *[]){"sh", "-c", line, NULL}, NULL, WAITS_MS);
    cr_assert_eq(run.status, 0, "%s", run.err);
}

static char *upload_url(const struct scene *scene, const char *where)
{
    return must_printf("http://127.0.0.1:%d/api/worker/upload/%lld/%s", scene->rig->port,
                       (long long)scene->worker.video, where);
}

/* `curl ARGUMENTS` to this upload; the answer's body and, in the last line, its status. */
static struct run curl_upload(const struct scene *scene, const char *where, const char *arguments)
{
    TEXT(url) = upload_url(scene, where);
    TEXT(line) = must_printf("cd '%s/w' && curl -s --noproxy '*' -w '\\n%%{http_code}' -H "
                             "'X-Worker-API-Key: %s' %s '%s'",
                             scene->rig->dir, scene->worker.key, arguments, url);
    return run_program((const char *[]){"sh", "-c", line, NULL}, NULL, WAITS_MS);
}

Test(wire, a_range_behind_the_end_is_refused_in_the_form_of_every_error)
{
    struct scene scene = scene_claimed();
    TEXT(path) = must_printf("/api/worker/source/%lld", (long long)scene.worker.video);
    REPLY(reply) = worker_call(&scene.worker, path, NULL, "Range: bytes=99999999-");
    reply_is(&reply, 416, "range_not_satisfiable");
    cr_assert(reply_text(&reply, "detail")[0]);
    rig_end(scene.rig);
}

Test(wire, a_registration_that_is_no_object_registers_nobody)
{
    struct scene scene = scene_claimed();
    int64_t before = inspect_int(scene.rig, "SELECT count(*) FROM workers");
    const char *const bodies[] = {"[]", "\"worker\"", "5", "null", "true"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        REPLY(reply) = admin_call(scene.rig, "/api/worker/register", bodies[i]);
        reply_is(&reply, 400, "bad_json");
    }
    cr_assert_eq(inspect_int(scene.rig, "SELECT count(*) FROM workers"), before);
    rig_end(scene.rig);
}

Test(wire, a_playlists_checksum_is_compared_or_refused_but_never_ignored)
{
    struct scene scene = scene_claimed();
    worker_put_tree(&scene.worker);
    TEXT(path) = must_printf("/api/worker/upload/%lld/segment/finalize",
                             (long long)scene.worker.video);
    const char *const wrong[] = {"", "sha256:", "sha256:12", "md5:00", "sha256:gg", "5"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        TEXT(body) = must_printf("{\"quality\":\"360p\",\"segment_count\":1,"
                                 "\"manifest_checksum\":\"%s\"}",
                                 wrong[i]);
        REPLY(reply) = worker_call(&scene.worker, path, body, NULL);
        reply_is(&reply, 422, "invalid_field");
    }
    TEXT(other) = must_printf("{\"quality\":\"360p\",\"segment_count\":1,"
                              "\"manifest_checksum\":\"sha256:%064d\"}",
                              0);
    REPLY(reply) = worker_call(&scene.worker, path, other, NULL);
    reply_is(&reply, 200, NULL);
    cr_assert_str_eq(reply_text(&reply, "status"), "incomplete");
    rig_end(scene.rig);
}

/* ---- forms ---- */

Test(wire, a_field_that_nobody_asked_for_counts_as_well)
{
    struct scene scene = scene_claimed();
    /* Without a length in front: only what is counted on the way bounds it. */
    shell(&scene, "truncate -s 200M big; : >small");
    RUN(run) = curl_upload(&scene, "finalize",
                           "-H 'Transfer-Encoding: chunked' -H 'Expect:' -F junk=@big "
                           "-F file=@small");
    cr_assert(strstr(run.out, "payload_too_large") || strcmp(run.out, "\n000") == 0, "%s", run.out);
    rig_end(scene.rig);
}

Test(wire, a_form_with_two_files_is_refused)
{
    struct scene scene = scene_claimed();
    TEXT(tar) = worker_tar(&scene.worker, "finish.tar.gz", "master.m3u8");
    TEXT(arguments) = must_printf("-F file=@%s -F file=@%s", tar, tar);
    shell(&scene, "true");
    RUN(run) = curl_upload(&scene, "finalize", arguments);
    cr_assert(strstr(run.out, "invalid_field") && strstr(run.out, "422"), "%s", run.out);
    rig_end(scene.rig);
}

/* ---- the end ---- */

/* 12 bytes, doubled 13 times: 8192 files of 12 bytes, each of them fsynced. On most disks that
 * takes longer than a request is left alone after SIGTERM. */
static void make_long_archive(const struct scene *scene)
{
    shell(scene, "printf '\\0\\0\\0\\030moofiso5' >a; "
                 "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13; do cat a a >b; mv b a; done; "
                 "mkdir 360p; split -b 12 -d -a 5 --additional-suffix=.m4s a 360p/seg_; "
                 "tar -czf long.tar.gz 360p; rm -rf 360p");
}

Test(wire, sigterm_ends_the_verifier_while_it_unpacks, .timeout = 500)
{
    struct scene scene = scene_claimed();
    make_long_archive(&scene);
    TEXT(url) = upload_url(&scene, "quality/360p");
    TEXT(key) = must_printf("X-Worker-API-Key: %s", scene.worker.key);
    TEXT(tar) = rig_path(scene.rig, "w/long.tar.gz");
    TEXT(form) = must_printf("file=@%s", tar);
    TEXT(log) = rig_path(scene.rig, "curl.log");
    struct process *curl = process_start(
        (const char *[]){"curl", "-s", "--noproxy", "*", "-H", key, "-F", form, url, NULL}, NULL,
        log, NULL);
    TEXT(staging) = rig_path(scene.rig, "videos/.staging");
    cr_assert(inspect_wait_file(staging, true, WAITS_MS));
    TEXT(unpacks) = must_printf("until [ -d \"$(echo '%s'/*/360p)\" ]; do :; done", staging);
    shell(&scene, unpacks);

    int64_t started_ms = mono_ms();
    process_signal(scene.rig->verifier, SIGTERM);
    cr_assert_eq(process_wait(scene.rig->verifier, END_WITHIN_MS), 0);
    cr_assert_lt(mono_ms() - started_ms, END_WITHIN_MS);
    process_free(scene.rig->verifier);
    scene.rig->verifier = NULL;
    cr_assert_eq(process_ends_within(curl, WAITS_MS), true);
    process_free(curl);
    /* On a disk that is fast enough it came to its end in time. */
    shell(&scene, "[ ! -e ../videos/film/360p ] || [ $(ls ../videos/film/360p | wc -l) = 8192 ] || "
                  "{ echo half an archive is there >&2; exit 1; }");

    rig_start_verifier(scene.rig);
    worker_put_tree(&scene.worker);
    rig_end(scene.rig);
}

/* ---- the operator ---- */

Test(wire, job_add_of_a_pipe_is_refused_and_does_not_wait)
{
    struct rig *rig = rig_new();
    TEXT(pipe) = rig_path(rig, "pipe.mp4");
    cr_assert_eq(mkfifo(pipe, 0600), 0);
    RUN(run) = rig_verifier(rig, (const char *[]){"job", "add", pipe, NULL});
    cr_assert(run.status > 0 && run.status < 128, "%d", run.status);
    cr_assert(strstr(run.err, "not a regular file"), "%s", run.err);
    rig_end(rig);
}
