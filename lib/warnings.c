#include "tailslate/warnings.h"

#include "lib/cleanup.h"
#include "lib/message_fields.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void add(struct tailslate_warnings *warnings, const char *text)
{
    char cut[TAILSLATE_WARNING_BYTES];
    text_cut(cut, sizeof cut, text);
    for (size_t i = 0; i < warnings->count; i++)
        if (strcmp(warnings->texts[i], cut) == 0)
            return;
    if (warnings->count < TAILSLATE_WARNINGS_MAX && cut[0])
        memcpy(warnings->texts[warnings->count++], cut, sizeof cut);
}

void tailslate_warnings_add(struct tailslate_warnings *warnings, const char *format, ...)
{
    TEXT(text) = NULL;
    va_list arguments;
    va_start(arguments, format);
    int size = vasprintf(&text, format, arguments);
    va_end(arguments);
    must(size >= 0);
    add(warnings, text);
}
