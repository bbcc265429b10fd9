#include "verifier/cli/text.h"

#include "lib/error.h"

#include <locale.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

static locale_t utf8;

static void make_locale(void)
{
    utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL);
    must(utf8 != NULL);
}

/* Calls of mbrtowc and wcwidth go by the thread's locale; the one before is put back. */
static locale_t enter(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_locale);
    return uselocale(utf8);
}

/* The bytes of the next character, 1 for an invalid byte; *columns -1: it is not to be printed. */
static size_t next(const char *text, int *columns)
{
    mbstate_t state = {0};
    wchar_t c;
    size_t size = mbrtowc(&c, text, strlen(text), &state);
    *columns = -1;
    if (size == 0 || size > strlen(text))
        return 1;
    bool turns = (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
    if (!iswcntrl((wint_t)c) && !turns)
        *columns = wcwidth(c);
    return size;
}

char *text_plain(const char *text)
{
    char *plain = must_malloc(strlen(text) + 1), *at = plain;
    locale_t before = enter();
    while (*text) {
        int columns;
        size_t size = next(text, &columns);
        if (columns < 0)
            *at++ = '?';
        else
            at = (char *)memcpy(at, text, size) + size;
        text += size;
    }
    *at = '\0';
    uselocale(before);
    return plain;
}

/* How many bytes fit into so many columns. */
static size_t fitting(const char *plain, int max, int *width)
{
    const char *at = plain;
    locale_t before = enter();
    *width = 0;
    while (*at) {
        int columns;
        size_t size = next(at, &columns);
        if (columns < 0)
            columns = 1;
        if (*width + columns > max)
            break;
        *width += columns;
        at += size;
    }
    uselocale(before);
    return (size_t)(at - plain);
}

int text_width(const char *plain)
{
    int width;
    fitting(plain, INT16_MAX, &width);
    return width;
}

char *text_fit(const char *plain, int columns)
{
    int width;
    if (text_width(plain) <= columns)
        return must_strdup(plain);
    size_t size = fitting(plain, columns > 1 ? columns - 1 : 0, &width);
    return must_printf("%.*s…", (int)size, plain);
}

int text_columns(FILE *out)
{
    enum { COLUMNS_MIN = 40, DIGITS_MAX = 4 };
    struct winsize size;
    const char *given = getenv("COLUMNS");
    size_t digits = given ? strspn(given, "0123456789") : 0;
    int columns = 0;
    for (size_t i = 0; i < digits && digits <= DIGITS_MAX && !given[digits]; i++)
        columns = columns * 10 + given[i] - '0';
    if (columns == 0 && ioctl(fileno(out), TIOCGWINSZ, &size) == 0)
        columns = size.ws_col;
    return columns > 0 && columns < COLUMNS_MIN ? COLUMNS_MIN : columns;
}
