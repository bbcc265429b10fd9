/* bench: what the loaders share: a job as they know it, its claim and a segment of it; time. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "tailslate/token.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KEY_BYTES = 128 };

struct job {
    int64_t id, video, epoch;
    char token[TAILSLATE_TOKEN_BYTES];
};

/* Takes the job from the answer to a claim, and makes its token. False: there is none in it. */
bool job_take(struct job *job, const char *answer);
/* Of one file of the job's 360p; owned. */
char *segment_path(const struct job *job, const char *name);
char *segment_headers(const struct job *job, const void *data, size_t size);

/* A completion with three renditions and the job's token; owned. */
char *completion_path(const struct job *job);
char *completion_headers(const struct job *job);
char *completion_body(const struct job *job);

/* The worker's key, the first line of the file. False: said on stderr. */
bool read_key(const char *path, char key[KEY_BYTES]);
/* An argument from 1 to max. False: it is none. */
bool read_number(const char *text, int64_t max, int64_t *value);

int64_t mono_us(void);
void sort_times(int64_t *times_us, int64_t count);
double percentile_ms(const int64_t *sorted_us, int64_t count, double part); /* part: 0 to 1 */

#endif
