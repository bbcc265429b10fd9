#include "base/message.h"
#include "fuzz.h"
#include "lib/cleanup.h"

#include <string.h>

/* The smaller bodies: what was taken is said again, taken again, and said the same. */

static void fuzz_acknowledgment(const char *text, size_t size)
{
    struct error err;
    struct tailslate_acknowledgment answer, again;
    if (tailslate_acknowledgment_parse(text, size, &answer, err.message) != TAILSLATE_PROBLEM_NONE)
        return;
    TEXT(first) = tailslate_acknowledgment_format(&answer);
    must(tailslate_acknowledgment_parse(first, strlen(first), &again, err.message) ==
         TAILSLATE_PROBLEM_NONE);
    TEXT(second) = tailslate_acknowledgment_format(&again);
    must(strcmp(first, second) == 0);
}

static void fuzz_failure(const char *text, size_t size)
{
    struct error err;
    struct message_failure failure, again;
    if (message_failure_parse(text, size, &failure, &err) != TAILSLATE_PROBLEM_NONE)
        return;
    TEXT(first) = message_failure_format(&failure);
    must(message_failure_parse(first, strlen(first), &again, &err) == TAILSLATE_PROBLEM_NONE);
    TEXT(second) = message_failure_format(&again);
    must(strcmp(first, second) == 0);
}

static void fuzz_progress(const char *text, size_t size)
{
    struct error err;
    struct message_progress progress, again;
    if (message_progress_parse(text, size, &progress, &err) != TAILSLATE_PROBLEM_NONE)
        return;
    must(progress.quality_count <= TAILSLATE_QUALITY_COUNT);
    TEXT(first) = message_progress_format(&progress);
    must(message_progress_parse(first, strlen(first), &again, &err) == TAILSLATE_PROBLEM_NONE);
    TEXT(second) = message_progress_format(&again);
    must(strcmp(first, second) == 0);
}

static void fuzz_heartbeat(const char *text, size_t size)
{
    struct error err;
    struct message_heartbeat heartbeat, again;
    if (message_heartbeat_parse(text, size, &heartbeat, &err) != TAILSLATE_PROBLEM_NONE)
        return;
    must(heartbeat.job_count <= HELD_JOBS_MAX);
    TEXT(first) = message_heartbeat_format(&heartbeat);
    must(message_heartbeat_parse(first, strlen(first), &again, &err) == TAILSLATE_PROBLEM_NONE);
    TEXT(second) = message_heartbeat_format(&again);
    message_heartbeat_fini(&heartbeat);
    message_heartbeat_fini(&again);
    must(strcmp(first, second) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    fuzz_acknowledgment(text, size);
    fuzz_failure(text, size);
    fuzz_progress(text, size);
    fuzz_heartbeat(text, size);
    return 0;
}
