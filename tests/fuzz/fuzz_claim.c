#include "base/message.h"
#include "fuzz.h"
#include "lib/cleanup.h"

#include <string.h>

static void check_name(const char *name)
{
    must(!strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
    for (; *name; name++)
        must((unsigned char)*name >= ' ' && *name != 0x7f);
}

static void check(const struct message_claim *claim)
{
    must(claim->job_id > 0 && claim->video_id > 0);
    must(claim->video_slug[0] != '\0');
    check_name(claim->video_slug);
    check_name(claim->source_filename);
    must(claim->duration >= 0 || claim->duration == TAILSLATE_ABSENT_NUMBER);
    must(claim->source_width >= TAILSLATE_ABSENT_INT && claim->source_width <= TAILSLATE_SIDE_MAX);
    must(claim->source_height >= TAILSLATE_ABSENT_INT &&
         claim->source_height <= TAILSLATE_SIDE_MAX);
    must(claim->existing < 1u << TAILSLATE_QUALITY_COUNT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {.message = ""};
    struct message_claim claim, again;
    enum tailslate_problem problem = message_claim_parse((const char *)data, size, &claim, &err);
    if (problem != TAILSLATE_PROBLEM_NONE) {
        must(problem == TAILSLATE_PROBLEM_BAD_JSON || problem == TAILSLATE_PROBLEM_INVALID_FIELD);
        must(err.message[0] != '\0');
        return 0;
    }
    if (claim.job_id == 0)
        return 0;
    check(&claim);
    TEXT(body) = message_claim_format(&claim, "");
    must(message_claim_parse(body, strlen(body), &again, &err) == TAILSLATE_PROBLEM_NONE);
    must(again.job_id == claim.job_id && again.video_id == claim.video_id);
    must(strcmp(again.video_slug, claim.video_slug) == 0);
    must(strcmp(again.source_filename, claim.source_filename) == 0);
    must(again.duration == claim.duration && again.existing == claim.existing);
    must(again.claim_epoch == claim.claim_epoch);
    return 0;
}
