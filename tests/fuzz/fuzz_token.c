#include "fuzz.h"

#include "tailslate/token.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t job_id = 0, again_id = 0;
    char canonical[TOKEN_BYTES], again[TOKEN_BYTES], made[TOKEN_BYTES];
    if (!token_parse((const char *)data, size, &job_id, canonical))
        return 0;
    /* As long as what came in, its own canonical form, and what token_make makes of its parts. */
    must(job_id > 0 && strlen(canonical) == size && size < TOKEN_BYTES);
    must(token_parse(canonical, strlen(canonical), &again_id, again));
    must(again_id == job_id && strcmp(again, canonical) == 0);
    const char *uuid = strchr(canonical, '-') + 1;
    must(token_uuid_is_v4(uuid));
    token_make(job_id, uuid, made);
    must(strcmp(made, canonical) == 0);
    return 0;
}
