#include "tailslate/warnings.h"

#include "lib/cleanup.h"
#include "lib/message_fields.h"
#include "lib/warnings_json.h"

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

struct json *warnings_new_array(const struct tailslate_warnings *warnings)
{
    struct json *array = warnings->count > 0 ? json_new_array() : NULL;
    for (size_t i = 0; i < warnings->count; i++)
        json_append_text(array, warnings->texts[i]);
    return array;
}

void warnings_read(const struct json *array, struct tailslate_warnings *warnings)
{
    warnings->count = 0;
    if (!json_is_array(array))
        return;
    for (const struct json *at = json_first(array); at; at = json_next(at))
        if (json_text(at))
            add(warnings, json_text(at));
}
