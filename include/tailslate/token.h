/* token: the completion token `<job_id>-<UUIDv4>`. Pure.
 *
 * Made once per claim and never again (known mistake 4). At most 100 bytes on the wire, compared in
 * lower case; the canonical form in this struct is lower case. */
#ifndef TAILSLATE_TOKEN_H
#define TAILSLATE_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TAILSLATE_UUID_BYTES = 37, TAILSLATE_TOKEN_BYTES = 101 };

/* job_id > 0; uuid: a version-4 UUID in text (see uuid.h). */
void tailslate_token_make(int64_t job_id, const char uuid[TAILSLATE_UUID_BYTES],
                          char token[TAILSLATE_TOKEN_BYTES]);

/* Is text (size bytes, no NUL inside) a well-formed token? Then sets *job_id and the canonical
 * form. A job ID over INT64_MAX, a leading zero, or another UUID version or variant is malformed.
 */
bool tailslate_token_parse(const char *text, size_t size, int64_t *job_id,
                           char canonical[TAILSLATE_TOKEN_BYTES]);

/* A version-4 UUID of the RFC 4122 variant, in its text form, either case. */
bool tailslate_token_uuid_is_v4(const char *text);

#endif
