/* Uploads that want to lie elsewhere, or to fill the disk: links planted in the directories, names
 * full of tricks, archives that are bombs. Nothing outside of the video's directory ever changes.
 */
#include "base/clock.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "raw.h"

#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SHELL_MS = 60 * 1000, SWAP_EVERY_MS = 2 };

static const char BOX[] = "\0\0\0\x18moof0123456789";
enum { BOX_BYTES = sizeof BOX - 1 };

/* In the scratch directory; its output, owned. */
static char *shell(const struct rig *rig, const char *script)
{
    TEXT(whole) = must_printf("set -e; cd '%s'; %s", rig->dir, script);
    RUN(run) = run_program((const char *[]){"sh", "-c", whole, NULL}, NULL, SHELL_MS);
    cr_assert_eq(run.status, 0, "%s: %s", script, run.err);
    return must_strdup(run.out);
}

static void make(const struct rig *rig, const char *script)
{
    free(shell(rig, script));
}

/* Everything that is outside, with its content and times. */
static char *outside(const struct rig *rig)
{
    return shell(rig, "find outside -printf '%p %y %s %T@ %m\\n' | sort; cat outside/secret");
}

static struct scene scene_with_outside(void)
{
    struct scene scene = scene_claimed();
    make(scene.rig, "mkdir outside; echo treasure >outside/secret; mkdir outside/360p; "
                    "mkdir -p videos/film/360p");
    return scene;
}

/* ---- links ---- */

static const struct {
    const char *plant, *what;
} links[] = {
    {"rmdir videos/film/360p; ln -s ../../outside/360p videos/film/360p", "a link as directory"},
    {"rmdir videos/film/360p; ln -s \"$PWD/outside/360p\" videos/film/360p", "an absolute one"},
    {"rmdir videos/film/360p; ln -s nowhere videos/film/360p", "a dangling one"},
    {"rm -r videos/film; ln -s ../outside videos/film", "the video's directory"},
    {"rm -r videos/film; ln -s . videos/film", "a loop"},
    {"rmdir videos/film/360p; ln -s /etc videos/film/360p", "into /etc"},
    {"rmdir videos/film/360p; ln -s .. videos/film/360p", "upwards"},
    {"rmdir videos/film/360p; echo x >videos/film/360p", "a file in its place"},
};

static struct reply put_rendition_tar(const struct scene *scene)
{
    TEXT(tar) = worker_tar(&scene->worker, "360p.tar.gz", "360p");
    TEXT(url) = must_printf("http://127.0.0.1:%d/api/worker/upload/%lld/quality/360p",
                            scene->rig->port, (long long)scene->worker.video);
    TEXT(key) = must_printf("X-Worker-API-Key: %s", scene->worker.key);
    return call_make(&(struct call){.url = url, .part_file = tar, .headers = {key}});
}

Test(attack_files, planted_links_lead_nowhere, .timeout = 240)
{
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        struct scene scene = scene_with_outside();
        make(scene.rig, links[i].plant);
        TEXT(before) = outside(scene.rig);
        REPLY(segment) = worker_put(&scene.worker, "360p", "init.mp4", BOX, BOX_BYTES);
        cr_expect_neq(segment.status, 200, "%s: a segment went through it", links[i].what);
        REPLY(flat) = worker_put(&scene.worker, "360p", "360p_0000.ts", "\x47ts", 3);
        REPLY(tar) = put_rendition_tar(&scene);
        (void)flat, (void)tar; /* beside a link both may be taken; the next look decides */
        TEXT(after) = outside(scene.rig);
        cr_expect_str_eq(after, before, "%s", links[i].what);
        cr_expect(access("/etc/init.mp4", F_OK) != 0);
        TEXT(list) = must_printf("/api/worker/upload/%lld/segments/status?quality=360p",
                                 (long long)scene.worker.video);
        REPLY(status) = worker_call(&scene.worker, list, NULL, NULL);
        cr_expect_not(strstr(status.body, "secret") || strstr(status.body, "passwd"), "%s",
                      status.body);
        log_is_whole(scene.rig);
        rig_end(scene.rig);
    }
}

Test(attack_files, a_link_in_a_segment_s_place_is_replaced_and_not_followed, .timeout = 60)
{
    struct scene scene = scene_with_outside();
    make(scene.rig, "ln -s ../../../outside/secret videos/film/360p/init.mp4; "
                    "ln -s /nowhere/at/all videos/film/360p/seg_0000.m4s; "
                    "mkfifo videos/film/360p/seg_0001.m4s");
    TEXT(before) = outside(scene.rig);
    static const char *const names[] = {"init.mp4", "seg_0000.m4s", "seg_0001.m4s"};
    for (size_t i = 0; i < 3; i++) {
        REPLY(reply) = worker_put(&scene.worker, "360p", names[i], BOX, BOX_BYTES);
        reply_is(&reply, 200, NULL);
        TEXT(path) = rig_path(scene.rig, "videos/film/360p/%s", names[i]);
        struct stat status;
        cr_assert(lstat(path, &status) == 0 && S_ISREG(status.st_mode), "%s", names[i]);
    }
    TEXT(after) = outside(scene.rig);
    cr_assert_str_eq(after, before);
    rig_end(scene.rig);
}

static const char *const sources[] = {
    "ln -s ../outside/secret uploads/1.mp4",
    "ln -s /etc/passwd uploads/1.mp4",
    "ln -s nowhere uploads/1.mp4",
    "ln -s ../outside uploads/1.mp4",
    "mkdir uploads/1.mp4",
    "mkfifo uploads/1.mp4",
};

Test(attack_files, a_link_for_a_source_is_not_sent, .timeout = 120)
{
    struct scene scene = scene_with_outside();
    TEXT(path) = must_printf("/api/worker/source/%lld", (long long)scene.worker.video);
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        TEXT(plant) = must_printf("rm -rf uploads/1.*; %s", sources[i]);
        make(scene.rig, plant);
        REPLY(reply) = worker_call(&scene.worker, path, NULL, NULL);
        cr_expect(reply.status >= 400 && !strstr(reply.body, "treasure") &&
                      !strstr(reply.body, "root:"),
                  "%s: %ld %s", sources[i], reply.status, reply.body);
    }
    rig_end(scene.rig);
}

static const char *const directories[] = {
    "ln -s ../outside videos/.staging",
    "echo x >videos/.staging",
    "ln -s nowhere videos/.staging",
    "ln -s ../outside videos/.trash",
};

Test(attack_files, our_directories_that_are_links_are_not_entered, .timeout = 120)
{
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
        struct scene scene = scene_with_outside();
        REPLY(first) = worker_put(&scene.worker, "360p", "init.mp4", BOX, BOX_BYTES);
        reply_is(&first, 200, NULL);
        make(scene.rig, directories[i]);
        TEXT(before) = outside(scene.rig);
        REPLY(tar) = put_rendition_tar(&scene);
        cr_expect_geq(tar.status, 500, "%s: %ld %s", directories[i], tar.status, tar.body);
        TEXT(after) = outside(scene.rig);
        cr_expect_str_eq(after, before, "%s", directories[i]);
        rig_end(scene.rig);
    }
}

struct swapper {
    char directory[PATH_BYTES], kept[PATH_BYTES], target[PATH_BYTES];
    atomic_bool is_over;
    atomic_long rounds;
};

/* The directory is a link, and a directory again, every other moment. While it is away an upload
 * makes another; then the one that was kept goes out of the way. */
static void *swap(void *ctx)
{
    struct swapper *swapper = ctx;
    for (long round = 0; !atomic_load(&swapper->is_over); round++) {
        TEXT(aside) = must_printf("%s.%ld", swapper->kept, round);
        bool is_away = rename(swapper->directory, swapper->kept) == 0;
        if (symlink(swapper->target, swapper->directory) == 0) {
            unlink(swapper->directory);
            atomic_fetch_add(&swapper->rounds, 1);
        }
        if (is_away && rename(swapper->kept, swapper->directory) != 0)
            rename(swapper->kept, aside);
        poll(NULL, 0, SWAP_EVERY_MS);
    }
    return NULL;
}

Test(attack_files, a_directory_that_becomes_a_link_in_between_lets_nothing_out, .timeout = 180)
{
    enum { UPLOADS = 300 };
    struct scene scene = scene_with_outside();
    struct swapper swapper = {.is_over = false};
    pthread_t thread;
    snprintf(swapper.directory, sizeof swapper.directory, "%s/videos/film/360p", scene.rig->dir);
    snprintf(swapper.kept, sizeof swapper.kept, "%s/videos/film/kept", scene.rig->dir);
    snprintf(swapper.target, sizeof swapper.target, "%s/outside/360p", scene.rig->dir);
    TEXT(before) = outside(scene.rig);
    int taken = 0, refused = 0;
    cr_assert(pthread_create(&thread, NULL, swap, &swapper) == 0);
    for (int i = 0; i < UPLOADS; i++) {
        TEXT(name) = must_printf("seg_%04d.m4s", i);
        REPLY(reply) = worker_put(&scene.worker, "360p", name, BOX, BOX_BYTES);
        taken += reply.status == 200;
        refused += reply.status == 503;
        cr_expect(reply.status == 200 || reply.status == 503, "%ld %s", reply.status, reply.body);
    }
    atomic_store(&swapper.is_over, true);
    pthread_join(thread, NULL);
    cr_log_info("%d taken, %d refused, %ld swaps", taken, refused, atomic_load(&swapper.rounds));
    TEXT(after) = outside(scene.rig);
    cr_assert_str_eq(after, before);
    cr_assert_gt(atomic_load(&swapper.rounds), 50);
    cr_assert_gt(taken, 0);
    log_is_whole(scene.rig);
    rig_end(scene.rig);
}

/* ---- names ---- */

static const char *const names[] = {
    "%2e%2e%2fevil.mp4",
    "..%5cevil.mp4",
    "%2fetc%2fevil.mp4",
    "/etc/evil.mp4",
    "//evil.mp4",
    "./evil.mp4",
    "evil.mp4/",
    "evil.mp4%00.m4s",
    "%c0%ae%c0%ae%c0%afevil.mp4",
    "%e0%80%ae%e0%80%ae.mp4",
    "%ed%a0%80.mp4",
    "%ff%fe.mp4",
    "%f4%90%80%80.mp4",
    "evil%0d%0aX-Evil:1.mp4",
    "evil%1b[2J.mp4",
    "%7f.mp4",
    ".hidden.mp4",
    ".tmp-evil.mp4",
    "evil.MP4",
    "evil.mp4.sh",
    ".mp4",
    "..mp4",
    "con%3a.mp4%20",
    "%252e%252e%252fevil.mp4",
};

Test(attack_files, no_name_leads_out_of_the_folder, .timeout = 60)
{
    struct scene scene = scene_with_outside();
    TEXT(before) = shell(scene.rig, "find . ! -name '*.log' ! -name 'verifier.db*' | sort");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        REPLY(reply) = worker_put(&scene.worker, "360p", names[i], BOX, BOX_BYTES);
        cr_expect(reply.status >= 400 && reply.status < 500, "%s: %ld %s", names[i], reply.status,
                  reply.body);
    }
    for (size_t size = 240; size < 5000; size *= 2) {
        TEXT(name) = must_calloc(1, size + 8);
        memset(name, 'a', size);
        memcpy(name + size, ".mp4", 5);
        REPLY(reply) = worker_put(&scene.worker, "360p", name, BOX, BOX_BYTES);
        cr_expect_eq(reply.status == 200, size + 4 <= 255, "%zu: %ld", size, reply.status);
    }
    TEXT(after) = shell(scene.rig, "rm -f videos/film/360p/aaa*; "
                                   "find . ! -name '*.log' ! -name 'verifier.db*' | sort");
    cr_assert_str_eq(after, before);
    log_is_whole(scene.rig);
    rig_end(scene.rig);
}

/* ---- archives ---- */

static const struct {
    const char *what, *script;
    long status;
} bombs[] = {
    {"zeros that shrink a thousandfold",
     "mkdir 360p; truncate -s 200M 360p/init.mp4; tar -cf - 360p | gzip -1 >bomb", 413},
    {"a sparse file of 60 GB", "mkdir 360p; truncate -s 60G 360p/init.mp4; tar -cSzf bomb 360p",
     413},
    {"9 GB are declared, and do not come",
     "mkdir 360p; truncate -s 9G 360p/init.mp4; tar -cf - 360p | head -c 1M | gzip >bomb", 413},
    {"more entries than a rendition has",
     "mkdir 360p; tar -cf one.tar 360p; head -c 512 one.tar >one; for i in 1 2 3 4 5 6 7 8 9 10 "
     "11; "
     "do cat one one one one one one one one one one >ten; cat ten ten ten ten ten ten ten ten ten "
     "ten >hundred; for j in 0 1 2 3 4 5 6 7 8 9; do cat hundred hundred hundred hundred hundred "
     "hundred hundred hundred hundred hundred; done; done | gzip -1 >bomb",
     413},
    {"a name of 100 kB",
     "mkdir 360p; echo x >360p/a.m4s; n=$(head -c 100000 /dev/zero | tr '\\0' a); "
     "tar -czf bomb --transform \"s|a[.]m4s|$n.m4s|\" 360p/a.m4s",
     422},
    {"a file twice",
     "mkdir 360p; printf '\\0\\0\\0\\30ftypisom0000' >360p/init.mp4; tar -cf t.tar 360p/init.mp4; "
     "tar -rf t.tar 360p/init.mp4; gzip -c t.tar >bomb",
     422},
    {"a hard link", "mkdir 360p; echo x >360p/a.m4s; ln 360p/a.m4s 360p/b.m4s; tar -czf bomb 360p",
     422},
    {"a link out", "mkdir 360p; ln -s ../../../outside/secret 360p/init.mp4; tar -czf bomb 360p",
     422},
    {"a link for the directory", "ln -s ../outside 360p; tar -czf bomb 360p", 422},
    {"a device", "mkdir 360p; mknod 360p/init.mp4 c 1 3; tar -czf bomb 360p", 422},
    {"an absolute name",
     "mkdir 360p; echo x >360p/a.m4s; tar -Pczf bomb --transform 's|^360p|/tmp/evil|' 360p/a.m4s",
     422},
    {"upwards",
     "mkdir 360p; echo x >360p/a.m4s; tar -Pczf bomb --transform 's|360p/|360p/../|' "
     "360p/a.m4s",
     422},
    {"gzip in gzip", "mkdir 360p; echo x >360p/a.m4s; tar -czf - 360p | gzip >bomb", 422},
    {"no gzip", "mkdir 360p; echo x >360p/a.m4s; tar -cf bomb 360p", 422},
    {"xz", "mkdir 360p; echo x >360p/a.m4s; tar -cJf bomb 360p", 422},
    {"cut in the middle",
     "mkdir 360p; head -c 3M /dev/urandom >360p/a.m4s; tar -czf t.tgz 360p; head -c 1M t.tgz >bomb",
     422},
    {"nothing", ": >bomb", 422},
};

static struct reply put_bomb(const struct scene *scene, const char *script)
{
    TEXT(whole) = must_printf("rm -rf work; mkdir work; cd work; %s; mv bomb ../bomb; cd ..; "
                              "rm -rf work",
                              script);
    make(scene->rig, whole);
    TEXT(tar) = rig_path(scene->rig, "bomb");
    TEXT(url) = must_printf("http://127.0.0.1:%d/api/worker/upload/%lld/quality/360p",
                            scene->rig->port, (long long)scene->worker.video);
    TEXT(key) = must_printf("X-Worker-API-Key: %s", scene->worker.key);
    return call_make(
        &(struct call){.url = url, .part_file = tar, .headers = {key}, .timeout_ms = 300 * 1000});
}

Test(attack_files, archives_that_are_bombs_are_defused, .timeout = 900)
{
    struct scene scene = scene_with_outside();
    REPLY(first) = worker_put(&scene.worker, "360p", "init.mp4", BOX, BOX_BYTES);
    reply_is(&first, 200, NULL);
    TEXT(before) = outside(scene.rig);
    int64_t rss_kib = inspect_rss_anon_kib(scene.rig->verifier->pid);
    for (size_t i = 0; i < sizeof bombs / sizeof *bombs; i++) {
        int64_t started_ms = mono_ms();
        REPLY(reply) = put_bomb(&scene, bombs[i].script);
        cr_log_info("%s: %ld in %lld ms", bombs[i].what, reply.status,
                    (long long)(mono_ms() - started_ms));
        cr_expect_eq(reply.status, bombs[i].status, "%s: %ld %s", bombs[i].what, reply.status,
                     reply.body);
        /* What was unpacked is removed when the answer has been sent. */
        TEXT(left) = shell(scene.rig,
                           "timeout 60 sh -c 'until [ -z \"$(ls videos/.staging)\" ]; do :; "
                           "done'; ls videos/film/360p");
        cr_expect_str_eq(left, "init.mp4\n", "%s", bombs[i].what);
    }
    TEXT(after) = outside(scene.rig);
    cr_expect_str_eq(after, before);
    cr_expect_leq(inspect_rss_anon_kib(scene.rig->verifier->pid) - rss_kib, 96 * 1024);
    log_is_whole(scene.rig);
    worker_put_tars(&scene.worker);
    rig_end(scene.rig);
}
