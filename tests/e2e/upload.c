/* Uploads in both ways: what is written, what is refused, and that nothing lands elsewhere. */
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "scene.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SHELL_MS = 20 * 1000, HASTE_MS = 500 };

/* ---- segments ---- */

static const char BOX[] = "\0\0\0\x18moof0123456789";
enum { BOX_BYTES = sizeof BOX - 1 };

static struct reply finalize_segments(const struct scene *scene, int count)
{
    TEXT(path) = must_printf("/api/worker/upload/%lld/segment/finalize",
                             (long long)scene->worker.video);
    TEXT(body) = must_printf("{\"quality\":\"360p\",\"segment_count\":%d}", count);
    return worker_call(&scene->worker, path, body, NULL);
}

Test(upload, a_segment_is_written_once_listed_and_counted)
{
    struct scene scene = scene_claimed();
    REPLY(first) = worker_put(&scene.worker, "360p", "seg_0001.m4s", BOX, BOX_BYTES);
    reply_is(&first, 200, NULL);
    cr_assert(reply_bool(&first, "written") && reply_bool(&first, "checksum_verified"));
    cr_assert_eq(reply_int(&first, "bytes_written"), BOX_BYTES);
    REPLY(again) = worker_put(&scene.worker, "360p", "seg_0001.m4s", BOX, BOX_BYTES);
    reply_is(&again, 200, NULL);
    cr_assert(reply_has(&again, "written") && !reply_bool(&again, "written"));
    cr_assert_eq(reply_int(&again, "bytes_written"), BOX_BYTES, "as a stock server says it");
    TEXT(path) = must_printf("/api/worker/upload/%lld/segments/status?quality=360p",
                             (long long)scene.worker.video);
    REPLY(status) = worker_call(&scene.worker, path, NULL, NULL);
    reply_is(&status, 200, NULL);
    const struct json *received = json_get(status.json, "received_segments");
    cr_assert(received && json_count(received) == 1);
    cr_assert_str_eq(json_text(json_at(received, 0)), "seg_0001.m4s");
    cr_assert_eq(reply_int(&status, "total_size_bytes"), BOX_BYTES);
    rig_end(scene.rig);
}

/* It was on its way when the client gave up; what the client sends next may be another file. */
static void send_and_leave(const struct scene *scene)
{
    siginfo_t stopped;
    process_signal(scene->rig->verifier, SIGSTOP);
    cr_assert_eq(waitid(P_PID, (id_t)scene->rig->verifier->pid, &stopped, WSTOPPED), 0);
    struct worker hasty = scene->worker;
    hasty.timeout_ms = HASTE_MS;
    REPLY(unheard) = worker_put(&hasty, "360p", "seg_0001.m4s", BOX, BOX_BYTES);
    cr_assert_eq(unheard.status, 0);
    process_signal(scene->rig->verifier, SIGCONT);
}

Test(upload, of_a_client_that_has_gone_is_not_put_in_place)
{
    struct scene scene = scene_claimed();
    send_and_leave(&scene);
    process_expect(scene.rig->verifier, "event=upload.abandoned", RIG_START_MS, NULL);
    TEXT(path) = rig_path(scene.rig, "videos/film/360p/seg_0001.m4s");
    cr_expect(access(path, F_OK) != 0);
    REPLY(again) = worker_put(&scene.worker, "360p", "seg_0001.m4s", BOX, BOX_BYTES);
    reply_is(&again, 200, NULL);
    cr_expect(access(path, F_OK) == 0);
    rig_end(scene.rig);
}

Test(upload, a_finalize_names_what_is_missing_whatever_count_it_is_told)
{
    struct scene scene = scene_claimed();
    worker_put_tree(&scene.worker);
    TEXT(segment) = rig_path(scene.rig, "videos/film/360p/seg_0000.m4s");
    cr_assert(unlink(segment) == 0);
    for (int told = 0; told <= 3; told++) {
        REPLY(reply) = finalize_segments(&scene, told);
        reply_is(&reply, 200, NULL);
        cr_assert_str_eq(reply_text(&reply, "status"), "incomplete");
        cr_assert(reply_has(&reply, "complete") && !reply_bool(&reply, "complete"));
        const struct json *missing = json_get(reply.json, "missing_segments");
        cr_assert(missing && json_count(missing) >= 1, "%s", reply.body);
        cr_assert_str_eq(json_text(json_at(missing, 0)), "seg_0000.m4s");
    }
    rig_end(scene.rig);
}

static void finalize_names_the_playlist(const struct scene *scene, int count)
{
    REPLY(reply) = finalize_segments(scene, count);
    reply_is(&reply, 200, NULL);
    cr_assert(reply_has(&reply, "complete") && !reply_bool(&reply, "complete"), "%s", reply.body);
    const struct json *missing = json_get(reply.json, "missing_segments");
    cr_assert(missing && json_count(missing) == 1, "%s", reply.body);
    cr_assert_str_eq(json_text(json_at(missing, 0)), "stream.m3u8");
}

static void is_complete(const struct scene *scene, int count)
{
    REPLY(reply) = finalize_segments(scene, count);
    reply_is(&reply, 200, NULL);
    cr_assert(reply_bool(&reply, "complete"), "%d: %s", count, reply.body);
}

static int files_in_tree(void)
{
    TEXT(list) = must_printf("ls '%s/360p' | grep -vc m3u8", media_tree());
    RUN(run) = run_program((const char *[]){"sh", "-c", list, NULL}, NULL, SHELL_MS);
    return (int)strtol(run.out, NULL, 10);
}

Test(upload, a_finalize_s_count_bounds_the_files_from_below)
{
    struct scene scene = scene_claimed();
    worker_put_tree(&scene.worker);
    int count = files_in_tree();
    for (int told = 0; told <= count; told++)
        is_complete(&scene, told);
    finalize_names_the_playlist(&scene, count + 1);
    /* What an earlier attempt left behind is a file, too, though no playlist names it. */
    REPLY(left) = worker_put(&scene.worker, "360p", "seg_9999.m4s", BOX, BOX_BYTES);
    reply_is(&left, 200, NULL);
    is_complete(&scene, count + 1);
    rig_end(scene.rig);
}

Test(upload, a_flat_rendition_s_playlist_is_called_by_its_name)
{
    static const char list[] = "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\n360p_0000.ts\n"
                               "#EXT-X-ENDLIST\n";
    struct scene scene = scene_claimed();
    REPLY(segment) = worker_put(&scene.worker, "360p", "360p_0000.ts", "\x47ts", 3);
    reply_is(&segment, 200, NULL);
    REPLY(playlist) = worker_put(&scene.worker, "360p", "360p.m3u8", list, sizeof list - 1);
    reply_is(&playlist, 200, NULL);
    TEXT(path) = must_printf("/api/worker/upload/%lld/segment/finalize",
                             (long long)scene.worker.video);
    TEXT(body) = must_printf("{\"quality\":\"360p\",\"segment_count\":1,"
                             "\"manifest_checksum\":\"sha256:%064d\"}",
                             0);
    REPLY(other) = worker_call(&scene.worker, path, body, NULL);
    reply_is(&other, 200, NULL);
    const struct json *missing = json_get(other.json, "missing_segments");
    cr_assert(missing && json_count(missing) == 1, "%s", other.body);
    cr_assert_str_eq(json_text(json_at(missing, 0)), "360p.m3u8");
    for (int told = 0; told <= 1; told++)
        is_complete(&scene, told);
    rig_end(scene.rig);
}

Test(upload, a_segment_with_another_checksum_is_refused)
{
    struct scene scene = scene_claimed();
    TEXT(path) = must_printf("/api/worker/upload/%lld/segment/360p/seg_0001.m4s",
                             (long long)scene.worker.video);
    char zeros[90] = "X-Content-SHA256: sha256:";
    memset(zeros + strlen(zeros), '0', 64);
    const char *const headers[] = {zeros, "X-Content-SHA256: abc", NULL};
    for (size_t i = 0; i < 3; i++) {
        REPLY(reply) = worker_call(&scene.worker, path, "\x01\x01\x01\x18moof0123", headers[i]);
        cr_assert(reply.status == 422 || reply.status == 400, "%ld %s", reply.status, reply.body);
        cr_assert(*reply_text(&reply, "code"), "%s", reply.body);
    }
    TEXT(file) = rig_path(scene.rig, "videos/film/360p/seg_0001.m4s");
    cr_assert(access(file, F_OK) != 0);
    rig_end(scene.rig);
}

/* What was there before is all that is there. */
static int files_outside(const struct scene *scene)
{
    TEXT(script) = must_printf("cd '%s' && find . -path ./videos/film -prune -o -type f "
                               "! -name '*.log' ! -name '*.db*' ! -name '*.tar.gz' -print | wc -l",
                               scene->rig->dir);
    RUN(run) = run_program((const char *[]){"sh", "-c", script, NULL}, NULL, SHELL_MS);
    return (int)strtol(run.out, NULL, 10);
}

Test(upload, names_full_of_tricks_are_refused)
{
    struct scene scene = scene_claimed();
    int before = files_outside(&scene);
    char long_name[300];
    memset(long_name, 'a', 260);
    snprintf(long_name + 260, 8, ".mp4");
    const char *const names[] = {
        "../evil.mp4", "..%2fevil.mp4", "%2e%2e%2fevil.mp4", "a%2fb.mp4", "a%5cb.mp4",
        "x%00.mp4",    "seg%25.mp4",    "evil.exe",          "noending",  "%20seg.mp4",
        "seg.mp4%20",  "..mp4..",       "..%2f..%2fx.m4s",   long_name};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        REPLY(reply) = worker_put(&scene.worker, "360p", names[i], BOX, BOX_BYTES);
        cr_assert(reply.status >= 400 && reply.status < 500, "%s -> %ld %s", names[i], reply.status,
                  reply.body);
    }
    const char *const qualities[] = {"361p", "..", "%2e%2e", "master", "360P"};
    for (size_t i = 0; i < sizeof qualities / sizeof *qualities; i++) {
        REPLY(reply) = worker_put(&scene.worker, qualities[i], "seg.m4s", BOX, BOX_BYTES);
        cr_assert(reply.status >= 400 && reply.status < 500, "%s -> %ld %s", qualities[i],
                  reply.status, reply.body);
    }
    cr_assert_eq(files_outside(&scene), before);
    rig_end(scene.rig);
}

Test(upload, a_segment_must_begin_as_its_kind_does)
{
    struct scene scene = scene_claimed();
    REPLY(box) = worker_put(&scene.worker, "360p", "seg_0001.m4s", "this is not a box", 17);
    cr_assert_eq(box.status, 422, "%s", box.body);
    REPLY(text) = worker_put(&scene.worker, "360p", "stream.m3u8", "\xff\xfe#EXTM3U", 9);
    cr_assert_eq(text.status, 422, "%s", text.body);
    REPLY(stream) = worker_put(&scene.worker, "360p", "360p_0001.ts", "not 0x47", 8);
    cr_assert_eq(stream.status, 422, "%s", stream.body);
    rig_end(scene.rig);
}

/* ---- archives ---- */

static struct reply put_tar(const struct scene *scene, const char *where, const char *shell)
{
    TEXT(tar) = rig_path(scene->rig, "trick.tar.gz");
    TEXT(script) = must_printf("set -e; rm -rf '%s/w'; mkdir '%s/w'; cd '%s/w'; out='%s'; %s",
                               scene->rig->dir, scene->rig->dir, scene->rig->dir, tar, shell);
    RUN(run) = run_program((const char *[]){"sh", "-c", script, NULL}, NULL, SHELL_MS);
    cr_assert_eq(run.status, 0, "%s", run.err);
    TEXT(clean) = must_printf("rm -rf '%s/w'", scene->rig->dir);
    RUN(cleaned) = run_program((const char *[]){"sh", "-c", clean, NULL}, NULL, SHELL_MS);
    TEXT(url) = must_printf("http://127.0.0.1:%d/api/worker/upload/%lld/%s", scene->rig->port,
                            (long long)scene->worker.video, where);
    TEXT(key) = must_printf("X-Worker-API-Key: %s", scene->worker.key);
    return call_make(&(struct call){.url = url, .part_file = tar, .headers = {key}});
}

Test(upload, archives_full_of_tricks_are_refused)
{
    struct scene scene = scene_claimed();
    int before = files_outside(&scene);
    const char *const tricks[] = {
        "mkdir 360p; echo x >360p/init.mp4; tar -czf $out --transform 's|360p/init|../evil|' "
        "360p/init.mp4",
        "mkdir 360p; echo x >360p/a.m4s; tar -Pczf $out --transform 's|^360p|/tmp|' 360p/a.m4s",
        "mkdir 360p; ln -s /etc/passwd 360p/init.mp4; tar -czf $out 360p",
        "mkdir 360p; echo x >360p/a.m4s; ln 360p/a.m4s 360p/b.m4s; ln -s .. 360p/up; tar -czf $out "
        "360p",
        "mkdir 480p; echo x >480p/init.mp4; tar -czf $out 480p",
        "mkdir 360p; echo x >360p/evil.sh; tar -czf $out 360p",
        "mkdir 360p; mkfifo 360p/init.mp4; tar -czf $out 360p",
        "echo this is no archive >$out",
        ": >$out",
    };
    for (size_t i = 0; i < sizeof tricks / sizeof *tricks; i++) {
        REPLY(reply) = put_tar(&scene, "quality/360p", tricks[i]);
        cr_assert(reply.status >= 400 && reply.status < 500, "%s -> %ld %s", tricks[i],
                  reply.status, reply.body);
    }
    REPLY(other) = put_tar(&scene, "finalize", "echo x >evil.m3u8; tar -czf $out evil.m3u8");
    cr_assert(other.status >= 400 && other.status < 500, "%ld %s", other.status, other.body);
    cr_assert(access("/tmp/a.m4s", F_OK) != 0);
    cr_assert_eq(files_outside(&scene), before);
    rig_end(scene.rig);
}

static bool is_in_film(const struct scene *scene, const char *name)
{
    TEXT(path) = rig_path(scene->rig, "videos/film/%s", name);
    return access(path, F_OK) == 0;
}

/* A stock worker packs whatever lies in a rendition's directory. */
Test(upload, captions_are_taken_where_a_stock_server_takes_them)
{
    struct scene scene = scene_claimed();
    REPLY(inner) = put_tar(&scene, "quality/360p",
                           "mkdir 360p; echo WEBVTT >360p/captions.vtt; tar -czf $out 360p");
    reply_is(&inner, 200, NULL);
    cr_assert(is_in_film(&scene, "360p/captions.vtt"));
    static const char *const places[] = {"quality/480p", "finalize"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        REPLY(flat) = put_tar(&scene, places[i],
                              "echo WEBVTT >captions.vtt; tar -czf $out captions.vtt");
        reply_is(&flat, 200, NULL);
        cr_assert(is_in_film(&scene, "captions.vtt"));
        REPLY(none) = put_tar(&scene, places[i],
                              "echo x >captions.vtt; tar -czf $out captions.vtt");
        reply_is(&none, 422, "invalid_field");
    }
    rig_end(scene.rig);
}

Test(upload, what_arrives_as_archive_is_what_arrives_as_segments)
{
    struct scene scene = scene_claimed();
    worker_put_tars(&scene.worker);
    TEXT(script) = must_printf("diff -r '%s/360p' '%s/videos/film/360p'", media_tree(),
                               scene.rig->dir);
    RUN(run) = run_program((const char *[]){"sh", "-c", script, NULL}, NULL, SHELL_MS);
    cr_assert_eq(run.status, 0, "%s", run.out);
    char token[128];
    worker_token(&scene.worker, token);
    REPLY(reply) = worker_complete(&scene.worker, token);
    reply_is(&reply, 200, NULL);
    inspect_job_completed_once(scene.rig, scene.worker.job);
    rig_end(scene.rig);
}
