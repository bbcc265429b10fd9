#include "verifier/webhook/signature.h"

#include "lib/cleanup.h"

#include <string.h>

void signature_make(const char *secret, int64_t timestamp_s, const char *body,
                    char signature[SIGNATURE_BYTES])
{
    char hex[HASH_HEX_BYTES];
    TEXT(text) = must_printf("%lld.%s", (long long)timestamp_s, body);
    hash_hmac(secret, strlen(secret), text, strlen(text), hex);
    snprintf(signature, SIGNATURE_BYTES, SIGNATURE_PREFIX "%s", hex);
}
