#include "base/config.h"
#include "base/config_value.h"
#include "lib/cleanup.h"

#include <string.h>

enum { COMMENT_COLUMNS = 92 };

static void print_text(const char *text, FILE *out)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

/* The shortest form that reads back as the same number, and reads as a number with a point. */
static void print_number(double number, FILE *out)
{
    char text[32];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    fprintf(out, "%s%s", text, strpbrk(text, ".e") ? "" : ".0");
}

static void print_value(const struct config_key *key, const void *target, FILE *out)
{
    const char *at = (const char *)target + key->offset;
    int64_t integer;
    double number;
    bool flag;
    switch (key->type) {
    case CONFIG_TEXT:
        print_text(at, out);
        return;
    case CONFIG_INTEGER:
        memcpy(&integer, at, sizeof integer);
        fprintf(out, "%lld%s", (long long)integer,
                integer < -INT32_MAX || integer > INT32_MAX ? "L" : "");
        return;
    case CONFIG_NUMBER:
        memcpy(&number, at, sizeof number);
        print_number(number, out);
        return;
    case CONFIG_BOOL:
        memcpy(&flag, at, sizeof flag);
        fputs(flag ? "true" : "false", out);
        return;
    }
}

/* One comment, broken at blanks. */
static void print_comment(const char *text, int indent, FILE *out)
{
    while (*text) {
        size_t size = strcspn(text, "\n");
        if (size > COMMENT_COLUMNS) {
            for (size = COMMENT_COLUMNS; size > 1 && text[size] != ' '; size--)
                ;
            if (text[size] != ' ')
                size = strcspn(text, " \n");
        }
        fprintf(out, "%*s//%s%.*s\n", indent, "", size ? " " : "", (int)size, text);
        text += size;
        text += *text == ' ' || *text == '\n';
    }
}

static void print_help(const struct config_key *key, FILE *out)
{
    char want[CONFIG_WANT_BYTES];
    config_value_want(key, want);
    bool is_free = (key->type == CONFIG_TEXT && !key->choices) || key->type == CONFIG_BOOL;
    TEXT(help) = is_free ? must_strdup(key->help) : must_printf("%s; %s", key->help, want);
    print_comment(help, 4, out);
}

enum print_style { PRINT_EFFECTIVE, PRINT_SAMPLE };

static void print_groups(const struct config_key *keys, size_t count, const void *target,
                         enum print_style style, FILE *out)
{
    const char *group = "";
    for (size_t i = 0; i < count; i++) {
        if (strcmp(keys[i].group, group) != 0) {
            fprintf(out, "%s%s:\n{\n", *group ? "};\n\n" : "", keys[i].group);
            group = keys[i].group;
        }
        if (style == PRINT_SAMPLE)
            print_help(&keys[i], out);
        fprintf(out, "    %s = ", keys[i].name);
        if (style == PRINT_SAMPLE)
            fputs(keys[i].fallback, out);
        else
            print_value(&keys[i], target, out);
        fputs(";\n", out);
    }
    if (*group)
        fputs("};\n", out);
}

void config_print(const struct config_key *keys, size_t count, const void *target, FILE *out)
{
    print_groups(keys, count, target, PRINT_EFFECTIVE, out);
}

void config_print_sample(const struct config_key *keys, size_t count, const char *header, FILE *out)
{
    if (header) {
        print_comment(header, 0, out);
        fputc('\n', out);
    }
    print_groups(keys, count, NULL, PRINT_SAMPLE, out);
}
