/* load: what the parts of the loader share. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "bench.h"
#include "load_http.h"

#include <pthread.h>
#include <stdatomic.h>

enum { TIME_BYTES = 48 };

struct settings {
    struct http_server servers[SERVERS_MAX];
    int server_count;
    char key[KEY_BYTES];
    int64_t jobs, copies, parallel, deadline_s;
    const char *verifier, *config, *source;
};

/* A job, and what its answers said. */
struct presented {
    struct job job;
    pthread_mutex_t lock; /* of what the copies find out */
    int64_t acknowledged, committed;
    bool lost_answer; /* of a copy that may have been the one that committed */
    char completed_at[TIME_BYTES];
};

struct tally {
    atomic_llong answers, retries, refused, resets, unavailable, lies, unacknowledged;
};

struct load {
    struct settings settings;
    struct presented *jobs;
    int64_t job_count;
    int64_t *latencies_us; /* one a copy: of the attempt that was acknowledged */
    int64_t *delays_us;    /* … from its first attempt on */
    atomic_llong measured;
    struct tally tally;
};

/* Is it worth another try (at another server)? Counted by why. */
bool load_is_for_later(struct load *load, enum http_result result, int status);
void load_pause(void);
/* Until a server answers something else than "later"; the servers take turns. False: deadline. */
bool load_insist(struct load *load, struct http_client *client, int server, const char *path,
                 const char *headers, const void *body, size_t size);
/* Adds the jobs where that is asked for, claims them and uploads their renditions. */
bool load_prepare(struct load *load);

#endif
