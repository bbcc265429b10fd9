#include "bench.h"

#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/uuid.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool job_take(struct job *job, const char *answer)
{
    struct error err;
    char uuid[TAILSLATE_UUID_BYTES];
    JSON(body) = json_parse(answer, strlen(answer), &err);
    if (!body || json_get_int(body, "job_id", 1, INT64_MAX, &job->id) != JSON_FOUND ||
        json_get_int(body, "video_id", 1, INT64_MAX, &job->video) != JSON_FOUND ||
        json_get_int(body, "claim_epoch", 0, INT64_MAX, &job->epoch) != JSON_FOUND)
        return false;
    uuid_make_v4(uuid);
    tailslate_token_make(job->id, uuid, job->token);
    return true;
}

char *segment_path(const struct job *job, const char *name)
{
    return must_printf("/api/worker/upload/%" PRId64 "/segment/360p/%s", job->video, name);
}

char *segment_headers(const struct job *job, const void *data, size_t size)
{
    char hex[HASH_HEX_BYTES];
    hash_bytes(data, size, hex);
    return must_printf("X-Content-SHA256: %s\r\nX-Claim-Epoch: %" PRId64 "\r\n", hex, job->epoch);
}

char *completion_path(const struct job *job)
{
    return must_printf("/api/worker/%" PRId64 "/complete", job->id);
}

char *completion_headers(const struct job *job)
{
    return must_printf("X-Claim-Epoch: %" PRId64 "\r\n", job->epoch);
}

char *completion_body(const struct job *job)
{
    return must_printf(
        "{\"qualities\":[{\"name\":\"1080p\",\"width\":1920,\"height\":1080,\"bitrate\":5000},"
        "{\"name\":\"720p\",\"width\":1280,\"height\":720,\"bitrate\":2500},"
        "{\"name\":\"360p\",\"width\":640,\"height\":360,\"bitrate\":600}],\"duration\":6.0,"
        "\"source_width\":1920,\"source_height\":1080,\"streaming_format\":\"cmaf\","
        "\"streaming_codec\":\"h264\",\"completion_token\":\"%s\"}",
        job->token);
}

bool read_key(const char *path, char key[KEY_BYTES])
{
    STREAM(file) = fopen(path, "re");
    if (!file || !fgets(key, KEY_BYTES, file)) {
        fprintf(stderr, "bench: cannot read %s\n", path);
        return false;
    }
    key[strcspn(key, "\r\n")] = '\0';
    return true;
}

bool read_number(const char *text, int64_t max, int64_t *value)
{
    char *end;
    *value = strtoll(text, &end, 10);
    return !*end && *value >= 1 && *value <= max;
}

int64_t mono_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int by_size(const void *left, const void *right)
{
    int64_t l = *(const int64_t *)left, r = *(const int64_t *)right;
    return (l > r) - (l < r);
}

void sort_times(int64_t *times_us, int64_t count)
{
    qsort(times_us, (size_t)count, sizeof *times_us, by_size);
}

double percentile_ms(const int64_t *sorted_us, int64_t count, double part)
{
    return count == 0 ? 0 : (double)sorted_us[(int64_t)((double)(count - 1) * part)] / 1000;
}
