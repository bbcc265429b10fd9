#include "base/message.h"
#include "fuzz.h"
#include "lib/cleanup.h"
#include "lib/hash.h"

#include <math.h>
#include <string.h>

enum { JOB = 12 };

static void check(const struct message_completion *completion)
{
    quality_set seen = 0;
    must(completion->rendition_count <= QUALITY_COUNT);
    for (size_t i = 0; i < completion->rendition_count; i++) {
        const struct message_rendition *rendition = &completion->renditions[i];
        must(rendition->quality < QUALITY_COUNT && !(seen & 1u << rendition->quality));
        seen |= 1u << rendition->quality;
        must(rendition->width >= 1 && rendition->width <= SIDE_MAX);
        must(rendition->height >= 1 && rendition->height <= SIDE_MAX);
        must(rendition->bitrate_kbit >= 0);
    }
    must(seen == message_completion_qualities(completion));
    must(isfinite(completion->duration));
    must(completion->duration >= 0 || completion->duration == ABSENT_NUMBER);
    int64_t job_id = 0;
    char canonical[TOKEN_BYTES];
    const char *token = completion->token;
    must(token[0] == '\0' || (token_parse(token, strlen(token), &job_id, canonical) &&
                              job_id == JOB && strcmp(canonical, token) == 0));
}

/* What is said again in our own words is the same completion. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {.message = ""};
    struct message_completion completion, again;
    enum problem problem = message_completion_parse((const char *)data, size, JOB, &completion,
                                                    err.message);
    if (problem != PROBLEM_NONE) {
        must(problem == PROBLEM_BAD_JSON || problem_status(problem) == 422);
        must(err.message[0] != '\0');
        return 0;
    }
    check(&completion);
    char first[HASH_HEX_BYTES], second[HASH_HEX_BYTES];
    message_completion_fingerprint(&completion, first);
    TEXT(body) = message_completion_format(&completion);
    must(message_completion_parse(body, strlen(body), JOB, &again, err.message) == PROBLEM_NONE);
    message_completion_fingerprint(&again, second);
    must(strcmp(first, second) == 0 && strcmp(again.token, completion.token) == 0);
    must(again.duration == completion.duration);
    return 0;
}
