/* How fast a verifier answers, and how long its callers wait.
 *
 *   bench_rate --url http://127.0.0.1:9002 --key FILE [--connections 8] [--jobs 1000] [--rate R]
 *   bench_rate --url http://127.0.0.1:9002 --raw [--connections 8] [--jobs 1000]
 *
 * Claims so many jobs, whose three renditions are in place; sends a heartbeat, a progress report
 * and a small segment for each; completes each once, and then presents each completion again. Each
 * connection is a thread's and is kept alive; its next request follows the answer (closed loop).
 *
 * With --rate completions are due at R a second, however slow the answers are, and a latency counts
 * from the moment when its request was due (open loop): a stall shows in every request that it
 * delays, also in those that wait for a free connection.
 *
 * --raw presents completions of a job that need not exist and accepts any answer: for a floor.
 *
 * Prints a line for each phase, in the same order always:
 *   PHASE<TAB>CONNECTIONS<TAB>COUNT<TAB>PER_S<TAB>P50_MS<TAB>P99_MS<TAB>P999_MS
 * Exit 0; 1: an answer was not the expected one, or there were fewer jobs to claim. */
#include "bench.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "load_http.h"

#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SEGMENT_BYTES = 64 * 1024 };
enum phase { CLAIM, HEARTBEAT, PROGRESS, UPLOAD, COMPLETE, REPLAY, RAW };

struct bench {
    struct http_server server;
    char key[KEY_BYTES];
    int64_t connections, count, rate;
    bool is_raw;
    struct job *jobs;
    /* Of the phase that runs: */
    enum phase phase;
    int64_t started_us;
    atomic_llong next, done;
    atomic_bool failed;
    int64_t *latencies_us;
};

struct lane {
    struct bench *bench;
    struct http_client client;
    pthread_t thread;
};

static void sleep_until_us(int64_t at_us)
{
    struct timespec at = {.tv_sec = at_us / 1000000, .tv_nsec = at_us % 1000000 * 1000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static bool claim(struct http_client *client, struct job *job)
{
    return http_call(client, 0, "/api/worker/claim", "", "", 0) == HTTP_DONE &&
           client->status == 200 && job_take(job, client->answer);
}

static bool present(struct http_client *client, const struct job *job, enum phase phase)
{
    TEXT(path) = completion_path(job);
    TEXT(headers) = completion_headers(job);
    TEXT(body) = completion_body(job);
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
    TEXT(path) = segment_path(job, "seg_0001.m4s");
    TEXT(headers) = segment_headers(job, box, sizeof box);
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
    sort_times(bench->latencies_us, bench->count);
    printf("%s\t%lld\t%lld\t%.0f\t%.2f\t%.2f\t%.2f\n", name, (long long)bench->connections,
           (long long)bench->count, (double)bench->count / seconds,
           percentile_ms(bench->latencies_us, bench->count, 0.5),
           percentile_ms(bench->latencies_us, bench->count, 0.99),
           percentile_ms(bench->latencies_us, bench->count, 0.999));
    fflush(stdout);
    return true;
}

static _Noreturn void usage(void)
{
    fprintf(stderr, "usage: bench_rate --url http://HOST:PORT --key FILE [--connections 8]\n"
                    "       [--jobs 1000] [--rate PER_SECOND] [--raw]\n");
    exit(64);
}

static void parse_arguments(int argc, char **argv, struct bench *bench)
{
    static const struct option options[] = {
        {"url", required_argument, NULL, 'u'},
        {"key", required_argument, NULL, 'k'},
        {"connections", required_argument, NULL, 'c'},
        {"jobs", required_argument, NULL, 'j'},
        {"rate", required_argument, NULL, 'r'},
        {"raw", no_argument, NULL, 'w'},
        {0},
    };
    bool is_well = true;
    *bench = (struct bench){.connections = 8, .count = 1000};
    for (int option; is_well && (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 'u':
            is_well = http_server_parse(optarg, &bench->server);
            break;
        case 'k':
            is_well = read_key(optarg, bench->key);
            break;
        case 'c':
            is_well = read_number(optarg, 1000, &bench->connections);
            break;
        case 'j':
            is_well = read_number(optarg, 1000000, &bench->count);
            break;
        case 'r':
            is_well = read_number(optarg, 1000000, &bench->rate);
            break;
        case 'w':
            bench->is_raw = true;
            break;
        default:
            is_well = false;
        }
    }
    if (!is_well || optind != argc || !bench->server.port[0] || (!bench->is_raw && !bench->key[0]))
        usage();
}

int main(int argc, char **argv)
{
    static struct bench bench;
    parse_arguments(argc, argv, &bench);
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
