#include "worker.h"

#include "base/clock.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/hash.h"
#include "lib/uuid.h"
#include "media.h"
#include "verifier/store/key_memory.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { TAR_MS = 20 * 1000, STEPS_MAX = 8 };

static int port_of(const struct worker *worker)
{
    return worker->rig->front ? worker->rig->front : worker->rig->port;
}

struct worker worker_new(struct rig *rig, const char *name)
{
    struct worker worker = {.rig = rig, .sends_epoch = true};
    rig_add_worker(rig, name, worker.key);
    return worker;
}

struct reply worker_call(const struct worker *worker, const char *path, const char *body,
                         const char *extra)
{
    TEXT(url) = must_printf("http://127.0.0.1:%d%s", port_of(worker), path);
    TEXT(key) = must_printf("X-Worker-API-Key: %s", worker->key);
    TEXT(epoch) = must_printf("X-Claim-Epoch: %lld", (long long)worker->epoch);
    struct call call = {.url = url, .body = body, .keeps_path = true};
    size_t count = 0;
    call.headers[count++] = key;
    if (worker->sends_epoch && worker->job > 0)
        call.headers[count++] = epoch;
    if (body)
        call.headers[count++] = "Content-Type: application/json";
    call.headers[count++] = extra;
    return call_make(&call);
}

struct reply admin_call(const struct rig *rig, const char *path, const char *body)
{
    TEXT(url) = must_printf("http://127.0.0.1:%d%s", rig->port, path);
    return call_make(&(struct call){
        .url = url,
        .body = body,
        .headers = {"X-Admin-Secret: the-admin-secret-of-a-test", "Content-Type: application/json"},
    });
}

struct reply worker_try_claim(struct worker *worker, int64_t job)
{
    worker->job = 0;
    TEXT(path) = job ? must_printf("/api/worker/claim?job_id=%lld", (long long)job)
                     : must_strdup("/api/worker/claim");
    struct reply reply = worker_call(worker, path, "", NULL);
    if (reply.status == 200 && reply_has(&reply, "job_id")) {
        worker->job = reply_int(&reply, "job_id");
        worker->video = reply_int(&reply, "video_id");
        worker->epoch = reply_int(&reply, "claim_epoch");
        snprintf(worker->slug, sizeof worker->slug, "%s", reply_text(&reply, "video_slug"));
    }
    return reply;
}

bool worker_claim(struct worker *worker)
{
    REPLY(reply) = worker_try_claim(worker, 0);
    reply_is(&reply, 200, NULL);
    return worker->job > 0;
}

/* A step reports by itself, and its report takes a released claim back. */
static void signal_steps(const struct rig *rig, int signal)
{
    pid_t steps[STEPS_MAX];
    const char *const words[] = {"tailslate-agent", "step", rig->dir, NULL};
    int count = inspect_processes(words, steps, STEPS_MAX);
    cr_assert_leq(count, STEPS_MAX);
    for (int i = 0; i < count; i++)
        kill(steps[i], signal);
}

static bool release_and_claim(struct worker *worker, int64_t job)
{
    TEXT(id) = must_printf("%lld", (long long)job);
    RUN(release) = rig_verifier(worker->rig, (const char *[]){"job", "release", id, NULL});
    cr_assert_eq(release.status, 0, "%s", release.err);
    return worker_claim(worker);
}

void worker_take_over(struct worker *worker, int64_t job)
{
    rig_suspend_agent(worker->rig);
    signal_steps(worker->rig, SIGSTOP);
    /* Twice: a report that was sent already may take it back, and no other one follows. */
    cr_assert(release_and_claim(worker, job) || release_and_claim(worker, job));
    cr_assert_eq(worker->job, job);
    signal_steps(worker->rig, SIGCONT);
    rig_resume_agent(worker->rig);
}

struct reply worker_put(const struct worker *worker, const char *quality, const char *name,
                        const char *data, size_t size)
{
    char hex[HASH_HEX_BYTES];
    hash_bytes(data, size, hex);
    TEXT(url) = must_printf("http://127.0.0.1:%d/api/worker/upload/%lld/segment/%s/%s",
                            port_of(worker), (long long)worker->video, quality, name);
    TEXT(key) = must_printf("X-Worker-API-Key: %s", worker->key);
    TEXT(epoch) = must_printf("X-Claim-Epoch: %lld", (long long)worker->epoch);
    TEXT(sha) = must_printf("X-Content-SHA256: %s", hex);
    return call_make(&(struct call){
        .url = url,
        .body = data,
        .body_size = size,
        .keeps_path = true,
        .timeout_ms = worker->timeout_ms,
        .headers = {key, sha, "Content-Type: application/octet-stream",
                    worker->sends_epoch ? epoch : NULL},
    });
}

/* Fails the test where the file is not there. */
static char *read_whole(const char *path, size_t *size)
{
    STREAM(file) = fopen(path, "re");
    cr_assert(file, "%s is not there", path);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    char *data = must_malloc(*size + 1);
    cr_assert(fread(data, 1, *size, file) == *size);
    data[*size] = '\0';
    return data;
}

static void put_file(const struct worker *worker, const char *name)
{
    size_t size;
    TEXT(path) = must_printf("%s/360p/%s", media_tree(), name);
    TEXT(data) = read_whole(path, &size);
    REPLY(reply) = worker_put(worker, "360p", name, data, size);
    reply_is(&reply, 200, NULL);
}

/* The names in media_tree()'s playlist, in its order; returns how many segments there are. */
static int put_segments(const struct worker *worker)
{
    size_t size;
    int count = 0;
    TEXT(path) = must_printf("%s/360p/stream.m3u8", media_tree());
    TEXT(text) = read_whole(path, &size);
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (*line == '#')
            continue;
        put_file(worker, line);
        count++;
    }
    return count;
}

static struct reply put_archive(const struct worker *worker, const char *where, const char *file)
{
    TEXT(url) = must_printf("http://127.0.0.1:%d/api/worker/upload/%lld/%s", port_of(worker),
                            (long long)worker->video, where);
    TEXT(key) = must_printf("X-Worker-API-Key: %s", worker->key);
    TEXT(epoch) = must_printf("X-Claim-Epoch: %lld", (long long)worker->epoch);
    return call_make(&(struct call){
        .url = url, .part_file = file, .headers = {key, worker->sends_epoch ? epoch : NULL}});
}

static void put_finish(const struct worker *worker)
{
    TEXT(tar) = worker_tar(worker, "finish.tar.gz", "master.m3u8 manifest.mpd thumbnail.jpg");
    REPLY(reply) = put_archive(worker, "finalize", tar);
    reply_is(&reply, 200, NULL);
}

void worker_put_tree(const struct worker *worker)
{
    put_file(worker, "init.mp4");
    int segments = put_segments(worker);
    put_file(worker, "stream.m3u8");
    TEXT(path) = must_printf("/api/worker/upload/%lld/segment/finalize", (long long)worker->video);
    TEXT(body) = must_printf("{\"quality\":\"360p\",\"segment_count\":%d}", segments + 1);
    REPLY(reply) = worker_call(worker, path, body, NULL);
    reply_is(&reply, 200, NULL);
    cr_assert_str_eq(reply_text(&reply, "status"), "ok");
    cr_assert(reply_bool(&reply, "complete"));
    put_finish(worker);
}

char *worker_tar(const struct worker *worker, const char *name, const char *members)
{
    char *path = rig_path(worker->rig, "%s", name);
    TEXT(script) = must_printf("tar -C '%s' -czf '%s' %s", media_tree(), path, members);
    RUN(run) = run_program((const char *[]){"sh", "-c", script, NULL}, NULL, TAR_MS);
    cr_assert(run.status == 0, "tar: %s", run.err);
    return path;
}

void worker_put_tars(const struct worker *worker)
{
    TEXT(tar) = worker_tar(worker, "360p.tar.gz", "360p");
    REPLY(reply) = put_archive(worker, "quality/360p", tar);
    reply_is(&reply, 200, NULL);
    cr_assert_str_eq(reply_text(&reply, "status"), "ok");
    put_finish(worker);
}

char *worker_completion(const char *token, const char *qualities)
{
    TEXT(field) = token ? must_printf(",\"completion_token\":\"%s\"", token) : must_strdup("");
    return must_printf("{\"qualities\":%s,\"duration\":3.0,\"source_width\":640,"
                       "\"source_height\":360,\"streaming_format\":\"cmaf\","
                       "\"streaming_codec\":\"h264\"%s}",
                       qualities, field);
}

struct reply worker_complete(const struct worker *worker, const char *token)
{
    TEXT(path) = must_printf("/api/worker/%lld/complete", (long long)worker->job);
    TEXT(body) = worker_completion(token, WORKER_360P);
    return worker_call(worker, path, body, NULL);
}

void worker_token(const struct worker *worker, char token[128])
{
    char uuid[TAILSLATE_UUID_BYTES];
    uuid_make_v4(uuid);
    snprintf(token, 128, "%lld-%s", (long long)worker->job, uuid);
}

void worker_wait_out(const struct worker *worker)
{
    int64_t since_ms = mono_ms();
    for (bool is_in = true; is_in && mono_ms() - since_ms < KEY_MEMORY_MS;) {
        REPLY(reply) = worker_call(worker, "/api/worker/7/complete", "{}", NULL);
        is_in = reply.status == 422;
    }
}
