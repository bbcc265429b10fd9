#include "lib/uuid.h"

#include "lib/error.h"

#include <errno.h>
#include <sys/random.h>
#include <uuid/uuid.h>

void uuid_make_v4(char text[TAILSLATE_UUID_BYTES])
{
    /* Not uuid_generate(), which may fall back to a time-based UUID. */
    uuid_t binary;
    uuid_generate_random(binary);
    uuid_unparse_lower(binary, text);
    must(tailslate_token_uuid_is_v4(text));
}

void random_bytes(void *out, size_t size)
{
    unsigned char *at = out;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        if (got < 0 && errno == EINTR)
            continue;
        must(got > 0);
        at += got;
        size -= (size_t)got;
    }
}

uint64_t random_u64(void)
{
    uint64_t value;
    random_bytes(&value, sizeof value);
    return value;
}
