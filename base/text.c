#include "base/text.h"

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

enum { COLUMNS_MIN = 40, CONTROL = -1, UNKNOWN = -2 };

/* The bytes of the next character, 1 for an invalid byte; *columns: CONTROL: also marks that turn
 * the direction of writing, and invalid bytes; UNKNOWN: this C library does not know its width. */
static size_t next(const char *text, int *columns)
{
    mbstate_t state = {0};
    wchar_t c;
    size_t size = mbrtowc(&c, text, strlen(text), &state);
    *columns = CONTROL;
    if (size == 0 || size > strlen(text))
        return 1;
    bool turns = (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
    if (!iswcntrl((wint_t)c) && !turns)
        *columns = wcwidth(c) < 0 ? UNKNOWN : wcwidth(c);
    return size;
}

static char *plain_of(const char *text, bool is_document)
{
    char *plain = must_malloc(strlen(text) + 1), *at = plain;
    locale_t before = enter();
    while (*text) {
        int columns;
        size_t size = next(text, &columns);
        if (columns >= 0 || (is_document && (columns == UNKNOWN || *text == '\n')))
            at = (char *)memcpy(at, text, size) + size;
        else
            *at++ = is_document && *text == '\t' ? ' ' : '?';
        text += size;
    }
    *at = '\0';
    uselocale(before);
    return plain;
}

char *text_plain(const char *text)
{
    return plain_of(text, false);
}

char *text_plain_document(const char *text)
{
    return plain_of(text, true);
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

/* The bytes of a first line: up to a space, or all that fit of a long word. 0: not here. */
static size_t first_line(const char *plain, int columns, bool may_wait)
{
    int width;
    size_t fits = columns > 0 ? fitting(plain, columns, &width) : 0, end = fits;
    if (!plain[fits])
        return fits;
    while (end > 0 && plain[end] != ' ')
        end--;
    while (end > 0 && plain[end - 1] == ' ')
        end--;
    return end > 0 || may_wait ? end : fits;
}

void text_wrap(FILE *out, const char *plain, int at, int indent, int columns)
{
    must(!columns || indent + 2 <= columns);
    while (columns && *plain) {
        size_t size = first_line(plain, columns - at, at > indent);
        fprintf(out, "%.*s", (int)size, plain);
        plain += size;
        plain += strspn(plain, " ");
        at = indent;
        if (*plain)
            fprintf(out, "\n%*s", indent, "");
    }
    fputs(plain, out);
}

int text_columns(FILE *out)
{
    enum { DIGITS_MAX = 4 };
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
