/* signature: what tells a receiver that an event is ours. Pure.
 *
 * sha256=<hex of HMAC-SHA256(secret, "<timestamp>.<body>")>; the time is signed too, so that a
 * receiver can refuse a copy that somebody sends again later. */
#ifndef VERIFIER_SIGNATURE_H
#define VERIFIER_SIGNATURE_H

#include "lib/hash.h"

#define SIGNATURE_PREFIX "sha256="
enum { SIGNATURE_BYTES = sizeof SIGNATURE_PREFIX - 1 + HASH_HEX_BYTES };

/* timestamp_s: seconds since 1970. */
void signature_make(const char *secret, int64_t timestamp_s, const char *body,
                    char signature[SIGNATURE_BYTES]);

#endif
