#include "base/config_scan.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define WORD_BYTES "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.*+-"

enum { WORD_SHOWN_BYTES = 40 };

struct scan {
    const char *path;
    const char *at;
    int line;
};

static void skip(struct scan *scan, size_t size)
{
    for (; size > 0 && *scan->at; size--)
        scan->line += *scan->at++ == '\n';
}

/* Skips a comment; false: there is none here. */
static bool skip_comment(struct scan *scan)
{
    const char *at = scan->at;
    if (*at == '#' || strncmp(at, "//", 2) == 0) {
        skip(scan, strcspn(at, "\n"));
        return true;
    }
    if (strncmp(at, "/*", 2) != 0)
        return false;
    const char *end = strstr(at + 2, "*/");
    skip(scan, end ? (size_t)(end + 2 - at) : strlen(at));
    return true;
}

static int scan_text(struct scan *scan, struct error *err)
{
    skip(scan, 1);
    while (*scan->at && *scan->at != '"') {
        if (strncmp(scan->at, "\\x00", 4) == 0)
            return error_set(err, ERROR_PERMANENT, EINVAL, "%s:%d: \\x00 in a string", scan->path,
                             scan->line);
        skip(scan, *scan->at == '\\' ? 2 : 1);
    }
    skip(scan, 1);
    return 0;
}

/* Compares as text: the number may be of any length. */
static bool is_above(const char *digits, size_t size, const char *limit)
{
    size_t limit_size = strlen(limit);
    return size > limit_size || (size == limit_size && memcmp(digits, limit, size) > 0);
}

static int scan_word(struct scan *scan, struct error *err)
{
    size_t size = strspn(scan->at, WORD_BYTES);
    const char *digits = scan->at + strspn(scan->at, "+-");
    digits += strspn(digits, "0");
    size_t count = strspn(digits, "0123456789");
    size_t suffix = (size_t)(scan->at + size - digits) - count;
    bool is_long = suffix > 0 && strspn(digits + count, "L") == suffix;
    const char *advice = NULL;
    if (suffix == 0 && is_above(digits, count, "2147483647"))
        advice = " for an integer without a trailing L";
    if ((suffix == 0 || is_long) && is_above(digits, count, "9223372036854775807"))
        advice = "";
    if (advice)
        return error_set(err, ERROR_PERMANENT, ERANGE, "%s:%d: %.*s is too large%s", scan->path,
                         scan->line, size > WORD_SHOWN_BYTES ? WORD_SHOWN_BYTES : (int)size,
                         scan->at, advice);
    skip(scan, size);
    return 0;
}

int config_scan(const char *path, const char *content, struct error *err)
{
    struct scan scan = {.path = path, .at = content, .line = 1};
    while (*scan.at) {
        if (skip_comment(&scan))
            continue;
        if (*scan.at == '"') {
            if (scan_text(&scan, err) < 0)
                return -1;
        } else if (*scan.at == '@') {
            return error_set(err, ERROR_PERMANENT, EINVAL, "%s:%d: @include is not accepted", path,
                             scan.line);
        } else if (strchr(WORD_BYTES, *scan.at)) {
            if (scan_word(&scan, err) < 0)
                return -1;
        } else {
            skip(&scan, 1);
        }
    }
    return 0;
}
