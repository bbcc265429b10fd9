/* How fast a verifier answers, and how long its callers wait.
 *
 *   bench_rate --url http://127.0.0.1:9002 --key FILE [--connections C] [--jobs N] [--rate R]
 *              [--label TEXT]
 *   bench_rate --url http://127.0.0.1:9002 --raw N [--connections C] [--label TEXT]
 *
 * Claims up to N jobs whose three renditions are in place; sends a heartbeat, a progress report and
 * a small segment for each; completes each of them once, and then presents each completion again. C
 * threads with a kept-alive connection each; the next request follows the answer (closed loop).
 * With --rate, completions start at R a second whether or not earlier ones were answered, and a
 * latency counts from the moment when the request was due (open loop: a stall shows in every
 * request that it delays).
 *
 * --raw presents N completions of jobs that need not exist and accepts any answer: for a floor.
 *
 * Prints a line for each phase, in the same order always:
 *   LABEL<TAB>PHASE<TAB>CONNECTIONS<TAB>COUNT<TAB>PER_S<TAB>P50_MS<TAB>P99_MS<TAB>P999_MS
 * Exit 0; 1: an answer was not the expected one, or fewer than N jobs could be claimed. */
#include "base/clock.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/uuid.h"
#include "load.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEGMENT_BYTES = 64 * 1024 };
enum phase { CLAIM, HEARTBEAT, PROGRESS, UPLOAD, COMPLETE, REPLAY, RAW };

struct bench {
    struct http_server server;
    char key[128];
    const char *label;
    int64_t connections, wanted, rate;
    bool is_raw;
    struct job *jobs;
    /* Of the phase that runs: */
    enum phase phase;
    int64_t count, started_us;
    atomic_llong next, done;
    atomic_bool failed;
    int64_t *latencies_us;
};

struct lane {
    struct bench *bench;
    struct http_client client;
    pthread_t thread;
};

static int64_t mono_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void sleep_until_us(int64_t at_us)
{
    struct timespec at = {.tv_sec = at_us / 1000000, .tv_nsec = at_us % 1000000 * 1000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static bool claim(struct http_client *client, struct job *job)
{
    struct error err;
    char uuid[TAILSLATE_UUID_BYTES];
    if (http_call(client, 0, "/api/worker/claim", "", "", 0) != HTTP_DONE || client->status != 200)
        return false;
    JSON(answer) = json_parse(client->answer, strlen(client->answer), &err);
    if (!answer || json_get_int(answer, "job_id", 1, INT64_MAX, &job->id) != JSON_FOUND ||
        json_get_int(answer, "video_id", 1, INT64_MAX, &job->video) != JSON_FOUND ||
        json_get_int(answer, "claim_epoch", 0, INT64_MAX, &job->epoch) != JSON_FOUND)
        return false;
    uuid_make_v4(uuid);
    snprintf(job->token, sizeof job->token, "%lld-%s", (long long)job->id, uuid);
    return true;
}

static bool present(struct http_client *client, const struct job *job, enum phase phase)
{
    TEXT(path) = must_printf("/api/worker/%lld/complete", (long long)job->id);
    TEXT(headers) = must_printf("X-Claim-Epoch: %lld\r\n", (long long)job->epoch);
    TEXT(body) = must_printf(
        "{\"qualities\":[{\"name\":\"1080p\",\"width\":1920,\"height\":1080,\"bitrate\":5000},"
        "{\"name\":\"720p\",\"width\":1280,\"height\":720,\"bitrate\":2500},"
        "{\"name\":\"360p\",\"width\":640,\"height\":360,\"bitrate\":600}],\"duration\":6.0,"
        "\"source_width\":1920,\"source_height\":1080,\"streaming_format\":\"cmaf\","
        "\"streaming_codec\":\"h264\",\"completion_token\":\"%s\"}",
        job->token);
    const char *expected = phase == REPLAY ? "\"replayed\":true" : "\"replayed\":false";
    return http_call(client, 0, path, headers, body, strlen(body)) == HTTP_DONE &&
           (phase == RAW || (client->status == 200 && strstr(client->answer, expected)));
}

static bool send_heartbeat(struct http_client *client)
{
    static const char body[] = "{\"status\":\"idle\"}";
    return http_call(client, 0, "/api/worker/heartbeat", "", body, sizeof body - 1) == HTTP_DONE &&
           client->status == 200;
}

static bool report_progress(struct http_client *client, const struct job *job)
{
    static const char body[] = "{\"current_step\":\"upload\",\"progress_percent\":90}";
    TEXT(path) = must_printf("/api/worker/%lld/progress", (long long)job->id);
    TEXT(headers) = must_printf("X-Claim-Epoch: %lld\r\n", (long long)job->epoch);
    return http_call(client, 0, path, headers, body, sizeof body - 1) == HTTP_DONE &&
           client->status == 200;
}

static bool upload(struct http_client *client, const struct job *job)
{
    static const char box[SEGMENT_BYTES] = "\0\0\0\x18moof0123456789";
    char hex[HASH_HEX_BYTES];
    hash_bytes(box, sizeof box, hex);
    TEXT(path) = must_printf("/api/worker/upload/%lld/segment/360p/seg_0001.m4s",
                             (long long)job->video);
    TEXT(headers) = must_printf("X-Content-SHA256: %s\r\nX-Claim-Epoch: %lld\r\n", hex,
                                (long long)job->epoch);
    return http_call(client, 0, path, headers, box, sizeof box) == HTTP_DONE &&
           client->status == 200;
}

static bool run_one(struct http_client *client, struct job *job, enum phase phase)
{
    static const struct job nobody = {.id = 1, .token = "1-00000000-0000-4000-8000-000000000000"};
    switch (phase) {
    case CLAIM:
        return claim(client, job);
    case HEARTBEAT:
        return send_heartbeat(client);
    case PROGRESS:
        return report_progress(client, job);
    case UPLOAD:
        return upload(client, job);
    case COMPLETE:
    case REPLAY:
        return present(client, job, phase);
    case RAW:
        break;
    }
    return present(client, &nobody, RAW);
}

static void *run_lane(void *ctx)
{
    struct lane *lane = ctx;
    struct bench *bench = lane->bench;
    for (int64_t i; (i = atomic_fetch_add(&bench->next, 1)) < bench->count;) {
        struct job *job = bench->is_raw ? NULL : &bench->jobs[i];
        int64_t due_us = mono_us();
        if (bench->rate && bench->phase == COMPLETE) {
            due_us = bench->started_us + i * 1000000 / bench->rate;
            sleep_until_us(due_us);
        }
        bool is_well = run_one(&lane->client, job, bench->phase);
        if (!is_well) {
            if (!atomic_exchange(&bench->failed, true))
                fprintf(stderr, "rate: %d %s\n", lane->client.status, lane->client.answer);
            break;
        }
        bench->latencies_us[atomic_fetch_add(&bench->done, 1)] = mono_us() - due_us;
    }
    http_client_fini(&lane->client);
    return NULL;
}

static int by_size(const void *left, const void *right)
{
    int64_t l = *(const int64_t *)left, r = *(const int64_t *)right;
    return (l > r) - (l < r);
}

static double percentile_ms(const struct bench *bench, double part)
{
    return (double)bench->latencies_us[(int64_t)((double)(bench->count - 1) * part)] / 1000;
}

static bool run_phase(struct bench *bench, enum phase phase, const char *name)
{
    struct lane *lanes = must_calloc((size_t)bench->connections, sizeof *lanes);
    bench->phase = phase;
    atomic_store(&bench->next, 0);
    atomic_store(&bench->done, 0);
    bench->started_us = mono_us();
    for (int64_t i = 0; i < bench->connections; i++) {
        lanes[i].bench = bench;
        http_client_init(&lanes[i].client, &bench->server, bench->key);
        must(pthread_create(&lanes[i].thread, NULL, run_lane, &lanes[i]) == 0);
    }
    for (int64_t i = 0; i < bench->connections; i++)
        must(pthread_join(lanes[i].thread, NULL) == 0);
    double seconds = (double)(mono_us() - bench->started_us) / 1e6;
    free(lanes);
    if (atomic_load(&bench->failed))
        return false;
    qsort(bench->latencies_us, (size_t)bench->count, sizeof *bench->latencies_us, by_size);
    printf("%s\t%s\t%lld\t%lld\t%.0f\t%.2f\t%.2f\t%.2f\n", bench->label, name,
           (long long)bench->connections, (long long)bench->count, (double)bench->count / seconds,
           percentile_ms(bench, 0.5), percentile_ms(bench, 0.99), percentile_ms(bench, 0.999));
    fflush(stdout);
    return true;
}

static _Noreturn void usage(void)
{
    fprintf(stderr, "usage: bench_rate --url http://HOST:PORT --key FILE [--connections 8]\n"
                    "       [--jobs 1000] [--rate PER_SECOND] [--raw] [--label TEXT]\n");
    exit(64);
}

static void read_key(const char *path, char key[128])
{
    STREAM(file) = fopen(path, "re");
    if (!file || !fgets(key, 128, file)) {
        fprintf(stderr, "rate: cannot read %s\n", path);
        exit(66);
    }
    key[strcspn(key, "\r\n")] = '\0';
}

static int64_t number(const char *text, int64_t max)
{
    char *end;
    long long value = strtoll(text, &end, 10);
    if (*end || value < 1 || value > max)
        usage();
    return value;
}

static void parse_arguments(int argc, char **argv, struct bench *bench)
{
    static const struct option options[] = {
        {"url", required_argument, NULL, 'u'},         {"key", required_argument, NULL, 'k'},
        {"connections", required_argument, NULL, 'c'}, {"jobs", required_argument, NULL, 'j'},
        {"rate", required_argument, NULL, 'r'},        {"raw", no_argument, NULL, 'w'},
        {"label", required_argument, NULL, 'l'},       {0},
    };
    *bench = (struct bench){.label = "-", .connections = 8, .wanted = 1000};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 'u':
            if (!http_server_parse(optarg, &bench->server))
                usage();
            break;
        case 'k':
            read_key(optarg, bench->key);
            break;
        case 'c':
            bench->connections = number(optarg, 1000);
            break;
        case 'j':
            bench->wanted = number(optarg, 1000000);
            break;
        case 'r':
            bench->rate = number(optarg, 1000000);
            break;
        case 'w':
            bench->is_raw = true;
            break;
        case 'l':
            bench->label = optarg;
            break;
        default:
            usage();
        }
    }
    if (optind != argc || !bench->server.port[0] || (!bench->is_raw && !bench->key[0]))
        usage();
}

int main(int argc, char **argv)
{
    static struct bench bench;
    parse_arguments(argc, argv, &bench);
    bench.count = bench.wanted;
    bench.latencies_us = must_calloc((size_t)bench.count, sizeof *bench.latencies_us);
    bench.jobs = must_calloc((size_t)bench.count, sizeof *bench.jobs);
    bool is_well = bench.is_raw
                       ? run_phase(&bench, RAW, "raw")
                       : run_phase(&bench, CLAIM, "claim") &&
                             run_phase(&bench, HEARTBEAT, "heartbeat") &&
                             run_phase(&bench, PROGRESS, "progress") &&
                             run_phase(&bench, UPLOAD, "segment of 64 KiB") &&
                             run_phase(&bench, COMPLETE, bench.rate ? "paced" : "complete") &&
                             run_phase(&bench, REPLAY, "replay");
    free(bench.jobs);
    free(bench.latencies_us);
    return is_well ? 0 : 1;
}
