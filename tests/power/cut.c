/* Cuts the power of a file system on which a verifier is at work.
 *
 *   power_cut --url URL --key FILE --disk DIRECTORY --jobs N --seed S    claims, works, cuts
 *   power_cut --url URL --key FILE --again FILE                          presents all of it again
 *   power_cut --disk DIRECTORY                                           cuts, at once
 *
 * Claims N jobs. Then eight connections upload a segment for each and complete it, until the file
 * system at DIRECTORY is shut down (EXT4_IOC_SHUTDOWN: as if the machine lost its power; root's),
 * at a moment that the seed decides, or soon after the last answer. Prints a line for each job: JOB
 * VIDEO EPOCH TOKEN UPLOADED ACKNOWLEDGED     (tabs; 1: the answer was there before the cut)
 * --again reads such lines, and every completion must be acknowledged.
 * Exit 0; 1: something was not answered as it must be. */
#include "bench.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "load_http.h"

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

/* From the kernel's fs/ext4/ext4.h; no header for programs has it. */
#define EXT4_IOC_SHUTDOWN _IOR('X', 125, uint32_t)
enum { GOING_DOWN_FLUSH_LOG = 1, GOING_DOWN_LOSE_LOG = 2 };

enum { LANES = 8, JOBS_MAX = 1000, SEGMENT_BYTES = 16 * 1024, AFTER_MAX_US = 3000 };

struct work {
    struct job job;
    int64_t uploaded_us, acknowledged_us; /* when the answer was there; 0: it was not */
};

struct cut {
    struct http_server server;
    char key[KEY_BYTES];
    const char *disk, *again;
    int64_t jobs, seed;
    struct work work[JOBS_MAX];
    atomic_int next, answers;
    atomic_bool is_over;
};

static int complain(const struct work *work, const char *what, const struct http_client *client)
{
    fprintf(stderr, "job %" PRId64 ": %s: %d %.200s\n", work->job.id, what, client->status,
            client->answer);
    return 1;
}

static bool claim(struct http_client *client, struct job *job)
{
    return http_call(client, 0, "/api/worker/claim", "", "", 0) == HTTP_DONE &&
           client->status == 200 && job_take(job, client->answer);
}

static bool upload(struct http_client *client, const struct job *job)
{
    static const char box[SEGMENT_BYTES] = "\0\0\0\x18moof0123456789";
    TEXT(path) = segment_path(job, "seg_0001.m4s");
    TEXT(headers) = segment_headers(job, box, sizeof box);
    return http_call(client, 0, path, headers, box, sizeof box) == HTTP_DONE &&
           client->status == 200;
}

static bool present(struct http_client *client, const struct job *job)
{
    TEXT(path) = completion_path(job);
    TEXT(headers) = completion_headers(job);
    TEXT(body) = completion_body(job);
    return http_call(client, 0, path, headers, body, strlen(body)) == HTTP_DONE &&
           client->status == 200;
}

static void *run_lane(void *ctx)
{
    struct cut *cut = ctx;
    struct http_client client;
    http_client_init(&client, &cut->server, cut->key);
    for (int i; !cut->is_over && (i = atomic_fetch_add(&cut->next, 1)) < cut->jobs;) {
        struct work *work = &cut->work[i];
        if (!upload(&client, &work->job))
            continue;
        work->uploaded_us = mono_us();
        cut->answers++;
        if (!present(&client, &work->job))
            continue;
        work->acknowledged_us = mono_us();
        cut->answers++;
    }
    http_client_fini(&client);
    return NULL;
}

static void wait_us(int64_t us)
{
    nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

/* Returns when it began. One time in four what the journal has is flushed first. */
static int64_t shut_down(const char *disk, unsigned random)
{
    FD(fd) = open(disk, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint32_t how = random % 4 == 0 ? GOING_DOWN_FLUSH_LOG : GOING_DOWN_LOSE_LOG;
    int64_t began_us = mono_us();
    if (fd < 0 || ioctl(fd, EXT4_IOC_SHUTDOWN, &how) != 0) {
        perror(disk);
        exit(1);
    }
    return began_us;
}

static int64_t work_until_cut(struct cut *cut)
{
    pthread_t lanes[LANES];
    unsigned random = (unsigned)cut->seed;
    int after = (int)(rand_r(&random) % (2 * cut->jobs)); /* answers */
    int64_t deadline_us = mono_us() + 30 * 1000000LL;
    for (int i = 0; i < LANES; i++)
        must(pthread_create(&lanes[i], NULL, run_lane, cut) == 0);
    while (cut->answers < after && mono_us() < deadline_us)
        wait_us(100);
    wait_us(rand_r(&random) % AFTER_MAX_US);
    int64_t began_us = shut_down(cut->disk, (unsigned)rand_r(&random));
    cut->is_over = true;
    for (int i = 0; i < LANES; i++)
        pthread_join(lanes[i], NULL);
    return began_us;
}

static int run(struct cut *cut)
{
    struct http_client client;
    http_client_init(&client, &cut->server, cut->key);
    for (int64_t i = 0; i < cut->jobs; i++)
        if (!claim(&client, &cut->work[i].job))
            return complain(&cut->work[i], "claim", &client);
    http_client_fini(&client);
    int64_t cut_us = work_until_cut(cut);
    for (int64_t i = 0; i < cut->jobs; i++) {
        const struct work *work = &cut->work[i];
        printf("%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%s\t%d\t%d\n", work->job.id, work->job.video,
               work->job.epoch, work->job.token, work->uploaded_us && work->uploaded_us < cut_us,
               work->acknowledged_us && work->acknowledged_us < cut_us);
    }
    return 0;
}

static int run_again(struct cut *cut)
{
    struct http_client client;
    STREAM(file) = fopen(cut->again, "re");
    must(file);
    http_client_init(&client, &cut->server, cut->key);
    struct work work = {0};
    int failed = 0;
    while (fscanf(file, "%" SCNd64 " %" SCNd64 " %" SCNd64 " %100s %*d %*d", &work.job.id,
                  &work.job.video, &work.job.epoch, work.job.token) == 4)
        if (!present(&client, &work.job))
            failed |= complain(&work, "presented again", &client);
    http_client_fini(&client);
    return failed;
}

static _Noreturn void usage(void)
{
    fputs("power_cut: --url URL --key FILE (--disk DIRECTORY --jobs N --seed S | --again FILE),"
          " or --disk DIRECTORY\n",
          stderr);
    exit(64);
}

int main(int argc, char **argv)
{
    static struct cut cut;
    static const struct option options[] = {
        {"url", required_argument, NULL, 'u'},
        {"key", required_argument, NULL, 'k'},
        {"disk", required_argument, NULL, 'd'},
        {"jobs", required_argument, NULL, 'j'},
        {"seed", required_argument, NULL, 's'},
        {"again", required_argument, NULL, 'a'},
        {0},
    };
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (!(option == 'u'   ? http_server_parse(optarg, &cut.server)
              : option == 'k' ? read_key(optarg, cut.key)
              : option == 'd' ? (cut.disk = optarg) != NULL
              : option == 'j' ? read_number(optarg, JOBS_MAX, &cut.jobs)
              : option == 's' ? read_number(optarg, INT32_MAX, &cut.seed)
                              : option == 'a' && (cut.again = optarg)))
            usage();
    if (cut.disk && !cut.server.port[0] && !cut.jobs) {
        shut_down(cut.disk, 1);
        return 0;
    }
    if (!cut.server.port[0] || !cut.key[0] || !(cut.again || (cut.disk && cut.jobs && cut.seed)))
        usage();
    return cut.again ? run_again(&cut) : run(&cut);
}
