#include "agent/base/argv.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_BYTES = 8192 };

static void append(struct argv *argv, char *owned)
{
    must(argv->count < ARGV_MAX);
    argv->items = must_realloc(argv->items, (argv->count + 2) * sizeof *argv->items);
    argv->items[argv->count++] = owned;
    argv->items[argv->count] = NULL;
}

void argv_push(struct argv *argv, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int size = vasprintf(&text, format, arguments);
    va_end(arguments);
    must(size >= 0);
    append(argv, text);
}

void argv_fini(struct argv *argv)
{
    for (size_t i = 0; i < argv->count; i++)
        free(argv->items[i]);
    free(argv->items);
    *argv = (struct argv){0};
}

struct word {
    char text[WORD_BYTES];
    size_t size;
    bool is_there; /* '' is an argument, too */
};

static int word_add(struct word *word, const char *text, size_t size, struct error *err)
{
    if (size >= WORD_BYTES - word->size)
        return error_set(err, ERROR_PERMANENT, 0, "an argument is longer than %d bytes",
                         WORD_BYTES - 1);
    memcpy(word->text + word->size, text, size);
    word->size += size;
    word->is_there = true;
    return 0;
}

/* at: after the opening brace. Returns the length of the name and its closing brace, or -1. */
static int word_add_value(struct word *word, const char *at, const struct argv_value *values,
                          size_t count, struct error *err)
{
    size_t length = strcspn(at, "}");
    if (at[length] == '}')
        for (size_t i = 0; i < count; i++)
            if (strlen(values[i].name) == length && memcmp(values[i].name, at, length) == 0)
                return word_add(word, values[i].text, strlen(values[i].text), err) < 0
                           ? -1
                           : (int)length + 1;
    return error_set(err, ERROR_PERMANENT, 0, "unknown placeholder {%.*s}", (int)length, at);
}

/* Handles one character of the pattern (or a brace with its name); returns how many bytes it read,
 * or -1. */
static int word_take(struct word *word, const char *at, char *quote,
                     const struct argv_value *values, size_t count, struct error *err)
{
    if (*quote ? *at == *quote : *at == '\'' || *at == '"') {
        *quote = *quote ? '\0' : *at;
        word->is_there = true;
        return 1;
    }
    if (*at == '\\' && *quote != '\'' && at[1])
        return word_add(word, at + 1, 1, err) < 0 ? -1 : 2;
    if (at[0] == '{' && at[1] == '{')
        return word_add(word, at, 1, err) < 0 ? -1 : 2;
    if (*at == '{') {
        int taken = word_add_value(word, at + 1, values, count, err);
        return taken < 0 ? -1 : taken + 1;
    }
    return word_add(word, at, 1, err) < 0 ? -1 : 1;
}

static int word_end(struct word *word, struct argv *argv, struct error *err)
{
    if (!word->is_there)
        return 0;
    if (argv->count == ARGV_MAX)
        return error_set(err, ERROR_PERMANENT, 0, "more than %d arguments", ARGV_MAX);
    argv_push(argv, "%.*s", (int)word->size, word->text);
    word->size = 0;
    word->is_there = false;
    return 0;
}

int argv_fill(struct argv *argv, const char *pattern, const struct argv_value *values, size_t count,
              struct error *err)
{
    struct word word = {.size = 0};
    char quote = '\0';
    while (*pattern) {
        if (!quote && isspace((unsigned char)*pattern)) {
            if (word_end(&word, argv, err) < 0)
                return -1;
            pattern++;
            continue;
        }
        int taken = word_take(&word, pattern, &quote, values, count, err);
        if (taken < 0)
            return -1;
        pattern += taken;
    }
    if (quote)
        return error_set(err, ERROR_PERMANENT, 0, "unclosed quote %c", quote);
    if (word_end(&word, argv, err) < 0)
        return -1;
    if (argv->count == 0)
        return error_set(err, ERROR_PERMANENT, 0, "the command is empty");
    return 0;
}
