#include "tailslate/token.h"

#include "lib/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { UUID_LENGTH = TAILSLATE_UUID_BYTES - 1, JOB_ID_DIGITS_MAX = 19 };

/* Not ctype.h: the wire does not depend on a locale. */
static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_uuid_byte(char c, size_t position)
{
    switch (position) {
    case 8:
    case 13:
    case 18:
    case 23:
        return c == '-';
    case 14: /* the version */
        return c == '4';
    case 19: /* the variant: bits 10xx */
        return c == '8' || c == '9' || c == 'a' || c == 'b';
    default:
        return is_digit(c) || (c >= 'a' && c <= 'f');
    }
}

static bool is_v4(const char *text, size_t size)
{
    if (size != UUID_LENGTH)
        return false;
    for (size_t i = 0; i < size; i++)
        if (!is_uuid_byte(lower(text[i]), i))
            return false;
    return true;
}

bool tailslate_token_uuid_is_v4(const char *text)
{
    return is_v4(text, strnlen(text, TAILSLATE_UUID_BYTES));
}

void tailslate_token_make(int64_t job_id, const char uuid[TAILSLATE_UUID_BYTES],
                          char token[TAILSLATE_TOKEN_BYTES])
{
    must(job_id > 0);
    must(tailslate_token_uuid_is_v4(uuid));
    int length = snprintf(token, TAILSLATE_TOKEN_BYTES, "%" PRId64 "-", job_id);
    for (size_t i = 0; i < TAILSLATE_UUID_BYTES; i++)
        token[(size_t)length + i] = lower(uuid[i]);
}

static bool parse_job_id(const char *text, size_t size, int64_t *job_id)
{
    if (size == 0 || size > JOB_ID_DIGITS_MAX || text[0] == '0')
        return false;
    int64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        if (!is_digit(text[i]) || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, text[i] - '0', &value))
            return false;
    }
    *job_id = value;
    return true;
}

bool tailslate_token_parse(const char *text, size_t size, int64_t *job_id,
                           char canonical[TAILSLATE_TOKEN_BYTES])
{
    const char *dash = size < TAILSLATE_TOKEN_BYTES ? memchr(text, '-', size) : NULL;
    if (!dash)
        return false;
    size_t id_size = (size_t)(dash - text);
    if (!is_v4(dash + 1, size - id_size - 1) || !parse_job_id(text, id_size, job_id))
        return false;
    for (size_t i = 0; i < size; i++)
        canonical[i] = lower(text[i]);
    canonical[size] = '\0';
    return true;
}
