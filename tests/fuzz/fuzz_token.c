#include "fuzz.h"

#include "tailslate/token.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t job_id = 0, again_id = 0;
    char canonical[TAILSLATE_TOKEN_BYTES], again[TAILSLATE_TOKEN_BYTES],
        made[TAILSLATE_TOKEN_BYTES];
    if (!tailslate_token_parse((const char *)data, size, &job_id, canonical))
        return 0;
    /* As long as what came in, its own canonical form, and what tailslate_token_make makes of its
     * parts. */
    must(job_id > 0 && strlen(canonical) == size && size < TAILSLATE_TOKEN_BYTES);
    must(tailslate_token_parse(canonical, strlen(canonical), &again_id, again));
    must(again_id == job_id && strcmp(again, canonical) == 0);
    const char *uuid = strchr(canonical, '-') + 1;
    must(tailslate_token_uuid_is_v4(uuid));
    tailslate_token_make(job_id, uuid, made);
    must(strcmp(made, canonical) == 0);
    return 0;
}
