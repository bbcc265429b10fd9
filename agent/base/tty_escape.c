#include "agent/base/tty_escape.h"

#include <stdbool.h>
#include <stdint.h>

/* Overlong forms, surrogates and values above U+10FFFF are not characters. */
static bool is_character(const unsigned char *at, size_t size)
{
    bool is_c1 = at[0] == 0xc2 && at[1] < 0xa0;
    bool is_overlong = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xf0 && at[1] < 0x90);
    bool is_surrogate = at[0] == 0xed && at[1] >= 0xa0;
    bool is_too_high = at[0] == 0xf4 && at[1] >= 0x90;
    return size > 0 && !is_c1 && !is_overlong && !is_surrogate && !is_too_high;
}

/* The length of the printable character at text (1-4 bytes), or 0. */
static size_t character_at(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    if (at[0] < 0x80)
        return at[0] >= ' ' && at[0] != 0x7f;
    if (at[0] < 0xc2 || at[0] > 0xf4)
        return 0;
    size_t size = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    for (size_t i = 1; i < size; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return is_character(at, size) ? size : 0;
}

static size_t print(FILE *out, const char *text, size_t columns, bool keeps_lines)
{
    size_t count = 0;
    for (; *text && count < columns; count++) {
        size_t size = character_at(text);
        if (size > 0)
            fwrite(text, 1, size, out);
        else
            fputc(keeps_lines && *text == '\n' ? '\n' : ' ', out);
        text += size > 0 ? size : 1;
    }
    return count;
}

size_t tty_escape_print(FILE *out, const char *text, size_t columns)
{
    return print(out, text, columns, false);
}

void tty_escape_print_lines(FILE *out, const char *text)
{
    print(out, text, SIZE_MAX, true);
}
