/* Presents completions as a fleet in trouble does, and checks every answer.
 *
 *   bench_load --url http://127.0.0.1:9002 [--url ...] --key FILE [--jobs N] [--copies M]
 *              [--parallel P] [--deadline S] [--verifier PROGRAM --config FILE --source FILE]
 *
 * With --verifier it first adds N jobs (`job add`). It claims N jobs, uploads a tiny rendition of
 * each, and then presents each job's one completion M times at once, spread over all URLs, P jobs
 * at a time. What is refused at the socket, reset, 429 or 503 is tried again at the next URL with
 * the same token until the deadline: servers may be killed meanwhile.
 *
 * A lie is: a 2xx that does not echo token and job; two answers to one job that both say they
 * committed it; none that does although no answer was lost; answers that differ in completed_at; an
 * acknowledgment after which another server does not know the job as completed, or misses a file;
 * any refusal of what is ours. Lies are printed. Exit 0: none, and everything acknowledged; 1. */
#include "load.h"

#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/json.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One of the M threads that present a group's jobs together. */
struct presenter {
    struct load *load;
    pthread_barrier_t *together;
    int64_t group, copy;
    pthread_t thread;
    struct http_client client;
};

static void __attribute__((format(printf, 2, 3))) lie(struct load *load, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    TEXT(text) = NULL;
    must(vasprintf(&text, format, args) >= 0);
    va_end(args);
    fprintf(stderr, "LIE: %s\n", text);
    atomic_fetch_add(&load->tally.lies, 1);
}

/* ---- presenting ---- */

/* Another server, if there is one, must know it now. */
static void doubt(struct presenter *presenter, const struct job *job, int server)
{
    struct load *load = presenter->load;
    struct http_client *client = &presenter->client;
    struct error err;
    bool is_completed = false;
    TEXT(path) = must_printf("/api/worker/%lld/verify-complete", (long long)job->id);
    if (!load_insist(load, client, (server + 1) % load->settings.server_count, path, "", NULL, 0))
        return;
    JSON(answer) = json_parse(client->answer, strlen(client->answer), &err);
    if (client->status != 200 || !answer)
        return lie(load, "job %lld: verify-complete %d %s", (long long)job->id, client->status,
                   client->answer);
    json_get_bool(answer, "job_completed", &is_completed);
    const struct json *present = json_get(answer, "qualities_present");
    if (!is_completed || !present || json_count(present) != 1)
        lie(load, "job %lld is acknowledged, but: %s", (long long)job->id, client->answer);
}

/* True: it says that it was the one that committed. */
static bool judge(struct presenter *presenter, struct presented *presented)
{
    const struct job *job = &presented->job;
    struct load *load = presenter->load;
    struct error err;
    const char *token = "", *completed_at = "", *status = "", *answer = presenter->client.answer;
    int64_t id = 0;
    bool replayed = true;
    JSON(body) = json_parse(answer, strlen(answer), &err);
    if (presenter->client.status != 200 || !body) {
        lie(load, "job %lld: %d %s", (long long)job->id, presenter->client.status, answer);
        return false;
    }
    atomic_fetch_add(&load->tally.answers, 1);
    json_get_text(body, "status", 16, &status);
    json_get_text(body, "token", TAILSLATE_TOKEN_BYTES, &token);
    json_get_text(body, "completed_at", TIME_BYTES, &completed_at);
    json_get_int(body, "job_id", 1, INT64_MAX, &id);
    if (strcmp(status, "ok") != 0 || strcmp(token, job->token) != 0 || id != job->id ||
        json_get_bool(body, "replayed", &replayed) != JSON_FOUND)
        lie(load, "job %lld: the answer is to something else: %s", (long long)job->id, answer);

    pthread_mutex_lock(&presented->lock);
    bool is_first = presented->acknowledged++ == 0;
    presented->committed += !replayed;
    bool is_second = !replayed && presented->committed > 1;
    bool differs = !is_first && strcmp(presented->completed_at, completed_at) != 0;
    if (is_first)
        snprintf(presented->completed_at, sizeof presented->completed_at, "%s", completed_at);
    pthread_mutex_unlock(&presented->lock);
    if (is_second)
        lie(load, "job %lld was committed twice", (long long)job->id);
    if (differs)
        lie(load, "job %lld was completed at %s, and at %s", (long long)job->id,
            presented->completed_at, completed_at);
    return !replayed || is_first;
}

static void note_times(struct load *load, int64_t first_us, int64_t attempt_us)
{
    int64_t now_us = mono_us();
    long long at = atomic_fetch_add(&load->measured, 1);
    load->latencies_us[at] = now_us - attempt_us;
    load->delays_us[at] = now_us - first_us;
}

static void present(struct presenter *presenter, struct presented *presented)
{
    const struct job *job = &presented->job;
    struct load *load = presenter->load;
    struct http_client *client = &presenter->client;
    int count = load->settings.server_count;
    int server = (int)((job->id + presenter->copy) % count);
    TEXT(path) = must_printf("/api/worker/%lld/complete", (long long)job->id);
    TEXT(headers) = must_printf("X-Claim-Epoch: %lld\r\n", (long long)job->epoch);
    TEXT(body) = must_printf("{\"qualities\":[{\"name\":\"360p\",\"width\":640,\"height\":360,"
                             "\"bitrate\":600}],\"duration\":6.0,\"source_width\":640,"
                             "\"source_height\":360,\"streaming_format\":\"cmaf\","
                             "\"streaming_codec\":\"h264\",\"completion_token\":\"%s\"}",
                             job->token);
    int64_t first_us = mono_us(), until_us = first_us + load->settings.deadline_s * 1000000;
    for (;; server = (server + 1) % count) {
        int64_t attempt_us = mono_us();
        enum http_result result = http_call(client, server, path, headers, body, strlen(body));
        if (!load_is_for_later(load, result, client->status)) {
            note_times(load, first_us, attempt_us);
            break;
        }
        if (result != HTTP_REFUSED) { /* cut off, or 503: it may have been committed all the same */
            pthread_mutex_lock(&presented->lock);
            presented->lost_answer = true;
            pthread_mutex_unlock(&presented->lock);
        }
        if (mono_us() > until_us) {
            atomic_fetch_add(&load->tally.unacknowledged, 1);
            return;
        }
        load_pause();
    }
    if (judge(presenter, presented))
        doubt(presenter, job, server);
}

static void *run_presenter(void *ctx)
{
    struct presenter *presenter = ctx;
    struct load *load = presenter->load;
    for (int64_t i = presenter->group; i < load->job_count; i += load->settings.parallel) {
        pthread_barrier_wait(presenter->together); /* all copies at once */
        present(presenter, &load->jobs[i]);
    }
    http_client_fini(&presenter->client);
    return NULL;
}

static void run_all(struct load *load)
{
    const struct settings *settings = &load->settings;
    size_t count = (size_t)(settings->parallel * settings->copies);
    struct presenter *presenters = must_calloc(count, sizeof *presenters);
    pthread_barrier_t *barriers = must_calloc((size_t)settings->parallel, sizeof *barriers);
    for (int64_t group = 0; group < settings->parallel; group++)
        must(pthread_barrier_init(&barriers[group], NULL, (unsigned)settings->copies) == 0);
    for (size_t i = 0; i < count; i++) {
        struct presenter *presenter = &presenters[i];
        presenter->load = load;
        presenter->group = (int64_t)i / settings->copies;
        presenter->copy = (int64_t)i % settings->copies;
        presenter->together = &barriers[presenter->group];
        http_client_init(&presenter->client, settings->servers, settings->key);
        must(pthread_create(&presenter->thread, NULL, run_presenter, presenter) == 0);
    }
    for (size_t i = 0; i < count; i++)
        must(pthread_join(presenters[i].thread, NULL) == 0);
    free(barriers);
    free(presenters);
}

/* What only the sum of a job's answers shows. */
static int64_t check_jobs(struct load *load)
{
    int64_t committed = 0;
    for (int64_t i = 0; i < load->job_count; i++) {
        const struct presented *presented = &load->jobs[i];
        committed += presented->committed;
        if (presented->committed == 0 && presented->acknowledged > 0 && !presented->lost_answer)
            lie(load, "job %lld: everybody was told of a replay, nobody of the commit",
                (long long)presented->job.id);
    }
    return committed;
}

/* ---- the result ---- */

static bool report(struct load *load, int64_t committed, double seconds)
{
    struct tally *tally = &load->tally;
    long long count = atomic_load(&load->measured), answers = atomic_load(&tally->answers);
    sort_times(load->latencies_us, count);
    sort_times(load->delays_us, count);
    printf("load: servers=%d jobs=%lld copies=%lld parallel=%lld acknowledged=%lld committed=%lld "
           "unacknowledged=%lld lies=%lld retries=%lld refused=%lld resets=%lld unavailable=%lld "
           "seconds=%.2f jobs_per_s=%.1f answers_per_s=%.1f p50_ms=%.1f p90_ms=%.1f p99_ms=%.1f "
           "max_ms=%.1f retried_p99_ms=%.1f retried_max_ms=%.1f\n",
           load->settings.server_count, (long long)load->job_count,
           (long long)load->settings.copies, (long long)load->settings.parallel, answers,
           (long long)committed, atomic_load(&tally->unacknowledged), atomic_load(&tally->lies),
           atomic_load(&tally->retries), atomic_load(&tally->refused), atomic_load(&tally->resets),
           atomic_load(&tally->unavailable), seconds, (double)load->job_count / seconds,
           (double)answers / seconds, percentile_ms(load->latencies_us, count, 0.5),
           percentile_ms(load->latencies_us, count, 0.9),
           percentile_ms(load->latencies_us, count, 0.99),
           percentile_ms(load->latencies_us, count, 1), percentile_ms(load->delays_us, count, 0.99),
           percentile_ms(load->delays_us, count, 1));
    return atomic_load(&tally->lies) == 0 && atomic_load(&tally->unacknowledged) == 0;
}

/* ---- the command line ---- */

static _Noreturn void usage(void)
{
    fprintf(stderr,
            "usage: bench_load --url http://HOST:PORT [--url ...] --key FILE [--jobs 100]\n"
            "       [--copies 64] [--parallel 1] [--deadline 60]\n"
            "       [--verifier PROGRAM --config FILE --source FILE]   add the jobs first\n");
    exit(64);
}

static void parse_arguments(int argc, char **argv, struct settings *settings)
{
    static const struct option options[] = {
        {"url", required_argument, NULL, 'u'},      {"key", required_argument, NULL, 'k'},
        {"jobs", required_argument, NULL, 'j'},     {"copies", required_argument, NULL, 'c'},
        {"parallel", required_argument, NULL, 'p'}, {"deadline", required_argument, NULL, 'd'},
        {"verifier", required_argument, NULL, 'v'}, {"config", required_argument, NULL, 'f'},
        {"source", required_argument, NULL, 's'},   {0},
    };
    bool is_well = true;
    *settings = (struct settings){.jobs = 100, .copies = 64, .parallel = 1, .deadline_s = 60};
    for (int option; is_well && (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 'u':
            is_well = settings->server_count < SERVERS_MAX &&
                      http_server_parse(optarg, &settings->servers[settings->server_count++]);
            break;
        case 'k':
            is_well = read_key(optarg, settings->key);
            break;
        case 'j':
            is_well = read_number(optarg, 1000000, &settings->jobs);
            break;
        case 'c':
            is_well = read_number(optarg, 500, &settings->copies);
            break;
        case 'p':
            is_well = read_number(optarg, 500, &settings->parallel);
            break;
        case 'd':
            is_well = read_number(optarg, 3600, &settings->deadline_s);
            break;
        case 'v':
            settings->verifier = optarg;
            break;
        case 'f':
            settings->config = optarg;
            break;
        case 's':
            settings->source = optarg;
            break;
        default:
            is_well = false;
        }
    }
    if (!is_well || optind != argc || settings->server_count == 0 || !settings->key[0] ||
        (settings->verifier && (!settings->config || !settings->source)))
        usage();
}

int main(int argc, char **argv)
{
    static struct load load;
    parse_arguments(argc, argv, &load.settings);
    if (!load_prepare(&load))
        return 1;
    fprintf(stderr, "load: %lld jobs are claimed and uploaded\n", (long long)load.job_count);
    unsigned long copies = (unsigned long)(load.job_count * load.settings.copies);
    load.latencies_us = must_calloc(copies, sizeof *load.latencies_us);
    load.delays_us = must_calloc(copies, sizeof *load.delays_us);
    int64_t started_us = mono_us();
    run_all(&load);
    double seconds = (double)(mono_us() - started_us) / 1e6;
    int64_t committed = check_jobs(&load);
    bool is_well = report(&load, committed, seconds);
    for (int64_t i = 0; i < load.job_count; i++)
        pthread_mutex_destroy(&load.jobs[i].lock);
    free(load.jobs);
    free(load.latencies_us);
    free(load.delays_us);
    return is_well ? 0 : 1;
}
