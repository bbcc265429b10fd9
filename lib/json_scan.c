#include "lib/json_scan.h"

#include "lib/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct scan {
    const char *text;
    size_t size, at, nodes, max_nodes;
    int depth;
    const char *why;
};

static bool refuse(struct scan *scan, const char *why)
{
    scan->why = why;
    return false;
}

/* The current byte, or -1 at the end. */
static int peek(const struct scan *scan)
{
    return scan->at < scan->size ? (unsigned char)scan->text[scan->at] : -1;
}

static bool take(struct scan *scan, int byte)
{
    if (peek(scan) != byte)
        return false;
    scan->at++;
    return true;
}

static void skip_blanks(struct scan *scan)
{
    while (peek(scan) == ' ' || peek(scan) == '\t' || peek(scan) == '\n' || peek(scan) == '\r')
        scan->at++;
}

static bool is_digit(int byte)
{
    return byte >= '0' && byte <= '9';
}

static size_t skip_digits(struct scan *scan)
{
    size_t start = scan->at;
    while (is_digit(peek(scan)))
        scan->at++;
    return scan->at - start;
}

static bool is_continuation(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

size_t json_utf8_length(const char *text, size_t size)
{
    unsigned char first = (unsigned char)text[0];
    unsigned char second = size > 1 ? (unsigned char)text[1] : 0;
    if (first < 0x80)
        return 1;
    size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (first < 0xc2 || first > 0xf4 || length > size)
        return 0;
    for (size_t i = 1; i < length; i++)
        if (!is_continuation(text[i]))
            return 0;
    /* Overlong forms, surrogates, and values above U+10FFFF. */
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
        (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f))
        return 0;
    return length;
}

/* Four hexadecimal digits; otherwise -1. */
static int scan_hex4(struct scan *scan)
{
    int value = 0;
    for (int i = 0; i < 4; i++, scan->at++) {
        int byte = peek(scan);
        int lower = byte | 0x20;
        if (is_digit(byte))
            value = value * 16 + byte - '0';
        else if (lower >= 'a' && lower <= 'f')
            value = value * 16 + lower - 'a' + 10;
        else
            return -1;
    }
    return value;
}

static bool scan_unicode_escape(struct scan *scan)
{
    int unit = scan_hex4(scan);
    if (unit < 0)
        return refuse(scan, "a \\u escape without four hexadecimal digits");
    if (unit == 0)
        return refuse(scan, "the escape \\u0000");
    if (unit >= 0xdc00 && unit <= 0xdfff)
        return refuse(scan, "a lone surrogate");
    if (unit < 0xd800 || unit > 0xdbff)
        return true;
    int low = take(scan, '\\') && take(scan, 'u') ? scan_hex4(scan) : -1;
    if (low < 0xdc00 || low > 0xdfff)
        return refuse(scan, "a lone surrogate");
    return true;
}

static bool scan_escape(struct scan *scan)
{
    int byte = peek(scan);
    if (byte <= 0 || !strchr("\"\\/bfnrtu", byte))
        return refuse(scan, "an unknown escape");
    scan->at++;
    return byte != 'u' || scan_unicode_escape(scan);
}

static bool scan_string(struct scan *scan)
{
    if (!take(scan, '"'))
        return refuse(scan, "expected a string");
    while (!take(scan, '"')) {
        int byte = peek(scan);
        if (byte < 0)
            return refuse(scan, "an unterminated string");
        if (byte < ' ')
            return refuse(scan, "a control byte in a string");
        size_t length = json_utf8_length(scan->text + scan->at, scan->size - scan->at);
        if (length == 0)
            return refuse(scan, "invalid UTF-8");
        scan->at += length;
        if (byte == '\\' && !scan_escape(scan))
            return false;
    }
    return true;
}

static bool is_finite_number(const char *text, size_t size)
{
    char copy[JSON_NUMBER_MAX_BYTES + 1];
    memcpy(copy, text, size);
    copy[size] = '\0';
    return isfinite(strtod(copy, NULL));
}

static bool scan_number(struct scan *scan)
{
    size_t start = scan->at;
    take(scan, '-');
    if (!take(scan, '0') && skip_digits(scan) == 0)
        return refuse(scan, "expected a value");
    if (take(scan, '.') && skip_digits(scan) == 0)
        return refuse(scan, "a digit expected after the decimal point");
    if (take(scan, 'e') || take(scan, 'E')) {
        if (!take(scan, '+'))
            take(scan, '-');
        if (skip_digits(scan) == 0)
            return refuse(scan, "a digit expected in the exponent");
    }
    size_t length = scan->at - start;
    if (length > JSON_NUMBER_MAX_BYTES)
        return refuse(scan, "a number with too many digits");
    if (!is_finite_number(scan->text + start, length))
        return refuse(scan, "a number out of range");
    return true;
}

static bool scan_word(struct scan *scan, const char *word)
{
    size_t length = strlen(word);
    if (scan->size - scan->at < length || memcmp(scan->text + scan->at, word, length) != 0)
        return refuse(scan, "expected a value");
    scan->at += length;
    return true;
}

static bool scan_value(struct scan *scan);

static bool scan_member(struct scan *scan, bool named)
{
    skip_blanks(scan);
    if (!named)
        return scan_value(scan);
    if (!scan_string(scan))
        return false;
    skip_blanks(scan);
    if (!take(scan, ':'))
        return refuse(scan, "expected a colon");
    return scan_value(scan);
}

/* An object (its members are named) or an array. */
static bool scan_container(struct scan *scan, bool named, char end)
{
    scan->at++;
    if (++scan->depth > JSON_MAX_DEPTH)
        return refuse(scan, "nested too deeply");
    skip_blanks(scan);
    if (!take(scan, end)) {
        do {
            if (!scan_member(scan, named))
                return false;
            skip_blanks(scan);
        } while (take(scan, ','));
        if (!take(scan, end))
            return refuse(scan, "expected a comma or the end of the list");
    }
    scan->depth--;
    return true;
}

static bool scan_value(struct scan *scan)
{
    if (++scan->nodes > scan->max_nodes)
        return refuse(scan, "too many values");
    skip_blanks(scan);
    switch (peek(scan)) {
    case '{':
        return scan_container(scan, true, '}');
    case '[':
        return scan_container(scan, false, ']');
    case '"':
        return scan_string(scan);
    case 't':
        return scan_word(scan, "true");
    case 'f':
        return scan_word(scan, "false");
    case 'n':
        return scan_word(scan, "null");
    default:
        return scan_number(scan);
    }
}

bool json_scan(const char *text, size_t size, size_t max_nodes, const char **why, size_t *where)
{
    struct scan scan = {.text = text, .size = size, .max_nodes = max_nodes};
    bool good = scan_value(&scan);
    if (good) {
        skip_blanks(&scan);
        good = scan.at == size || refuse(&scan, "unexpected data after the value");
    }
    *why = scan.why;
    *where = scan.at;
    return good;
}
