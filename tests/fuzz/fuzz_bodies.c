#include "base/message.h"
#include "fuzz.h"
#include "lib/cleanup.h"

#include <string.h>

/* The smaller bodies: what was taken is said again, taken again, and said the same. */

static void fuzz_acknowledgement(const char *text, size_t size)
{
    struct error err;
    struct message_acknowledgement answer, again;
    if (message_acknowledgement_parse(text, size, &answer, err.message) != PROBLEM_NONE)
        return;
    TEXT(first) = message_acknowledgement_format(&answer);
    must(message_acknowledgement_parse(first, strlen(first), &again, err.message) == PROBLEM_NONE);
    TEXT(second) = message_acknowledgement_format(&again);
    must(strcmp(first, second) == 0);
}

static void fuzz_failure(const char *text, size_t size)
{
    struct error err;
    struct message_failure failure, again;
    if (message_failure_parse(text, size, &failure, &err) != PROBLEM_NONE)
        return;
    TEXT(first) = message_failure_format(&failure);
    must(message_failure_parse(first, strlen(first), &again, &err) == PROBLEM_NONE);
    TEXT(second) = message_failure_format(&again);
    must(strcmp(first, second) == 0);
}

static void fuzz_progress(const char *text, size_t size)
{
    struct error err;
    struct message_progress progress, again;
    if (message_progress_parse(text, size, &progress, &err) != PROBLEM_NONE)
        return;
    must(progress.quality_count <= QUALITY_COUNT);
    TEXT(first) = message_progress_format(&progress);
    must(message_progress_parse(first, strlen(first), &again, &err) == PROBLEM_NONE);
    TEXT(second) = message_progress_format(&again);
    must(strcmp(first, second) == 0);
}

static void fuzz_heartbeat(const char *text, size_t size)
{
    struct error err;
    struct message_heartbeat heartbeat, again;
    if (message_heartbeat_parse(text, size, &heartbeat, &err) != PROBLEM_NONE)
        return;
    must(heartbeat.job_count <= HELD_JOBS_MAX);
    TEXT(first) = message_heartbeat_format(&heartbeat);
    must(message_heartbeat_parse(first, strlen(first), &again, &err) == PROBLEM_NONE);
    TEXT(second) = message_heartbeat_format(&again);
    message_heartbeat_fini(&heartbeat);
    message_heartbeat_fini(&again);
    must(strcmp(first, second) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    fuzz_acknowledgement(text, size);
    fuzz_failure(text, size);
    fuzz_progress(text, size);
    fuzz_heartbeat(text, size);
    return 0;
}
