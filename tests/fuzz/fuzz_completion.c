#include "base/message.h"
#include "fuzz.h"
#include "lib/cleanup.h"
#include "lib/hash.h"

#include <math.h>
#include <string.h>

enum { JOB = 12 };

static void check(const struct tailslate_completion *completion)
{
    tailslate_quality_set seen = 0;
    must(completion->rendition_count <= TAILSLATE_QUALITY_COUNT);
    for (size_t i = 0; i < completion->rendition_count; i++) {
        const struct tailslate_rendition *rendition = &completion->renditions[i];
        must(rendition->quality < TAILSLATE_QUALITY_COUNT && !(seen & 1u << rendition->quality));
        seen |= 1u << rendition->quality;
        must(rendition->width >= 1 && rendition->width <= TAILSLATE_SIDE_MAX);
        must(rendition->height >= 1 && rendition->height <= TAILSLATE_SIDE_MAX);
        must(rendition->bitrate_kbit >= 0);
    }
    must(seen == tailslate_completion_qualities(completion));
    must(isfinite(completion->duration));
    must(completion->duration >= 0 || completion->duration == TAILSLATE_ABSENT_NUMBER);
    int64_t job_id = 0;
    char canonical[TAILSLATE_TOKEN_BYTES];
    const char *token = completion->token;
    must(token[0] == '\0' || (tailslate_token_parse(token, strlen(token), &job_id, canonical) &&
                              job_id == JOB && strcmp(canonical, token) == 0));
}

/* What is said again in our own words is the same completion. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {.message = ""};
    struct tailslate_completion completion, again;
    enum tailslate_problem problem = tailslate_completion_parse((const char *)data, size, JOB,
                                                                &completion, err.message);
    if (problem != TAILSLATE_PROBLEM_NONE) {
        must(problem == TAILSLATE_PROBLEM_BAD_JSON || tailslate_problem_status(problem) == 422);
        must(err.message[0] != '\0');
        return 0;
    }
    check(&completion);
    char first[HASH_HEX_BYTES], second[HASH_HEX_BYTES];
    tailslate_completion_fingerprint(&completion, first);
    TEXT(body) = tailslate_completion_format(&completion);
    must(tailslate_completion_parse(body, strlen(body), JOB, &again, err.message) ==
         TAILSLATE_PROBLEM_NONE);
    tailslate_completion_fingerprint(&again, second);
    must(strcmp(first, second) == 0 && strcmp(again.token, completion.token) == 0);
    must(again.duration == completion.duration);
    return 0;
}
