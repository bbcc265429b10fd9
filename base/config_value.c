#include "base/config_value.h"

#include "lib/cleanup.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- values ---------------------------------------------------------------------------------- */

void config_value_want(const struct config_key *key, char want[CONFIG_WANT_BYTES])
{
    switch (key->type) {
    case CONFIG_TEXT:
        if (key->choices)
            snprintf(want, CONFIG_WANT_BYTES, "one of %s", key->choices);
        else
            snprintf(want, CONFIG_WANT_BYTES,
                     "a string of at most %d bytes without control characters",
                     CONFIG_TEXT_BYTES - 1);
        return;
    case CONFIG_INTEGER:
        snprintf(want, CONFIG_WANT_BYTES, "an integer from %.16g to %.16g", key->min, key->max);
        return;
    case CONFIG_NUMBER:
        snprintf(want, CONFIG_WANT_BYTES, "a number from %.16g to %.16g", key->min, key->max);
        return;
    case CONFIG_BOOL:
        snprintf(want, CONFIG_WANT_BYTES, "true or false");
        return;
    }
    must(!key->name);
}

int config_value_refuse(const struct config_key *key, const char *where, const char *found,
                        struct error *err)
{
    char want[CONFIG_WANT_BYTES];
    config_value_want(key, want);
    return error_set(err, ERROR_PERMANENT, EINVAL, "%s: expected %s, found %s", where, want, found);
}

static bool is_among(const char *choices, const char *text)
{
    size_t size = strlen(text);
    if (strchr(text, '|'))
        return false;
    for (const char *at = choices; at; at = strchr(at, '|')) {
        at += *at == '|';
        if (strncmp(at, text, size) == 0 && (at[size] == '|' || at[size] == '\0'))
            return true;
    }
    return false;
}

bool config_has_control_bytes(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return true;
    return false;
}

/* Written so that NaN is outside every range. */
static bool is_within(const struct config_key *key, double number)
{
    return number >= key->min && number <= key->max && isfinite(number);
}

bool config_value_take_text(const struct config_key *key, const char *text,
                            struct config_value *value)
{
    size_t size = strlen(text);
    if (size >= CONFIG_TEXT_BYTES || config_has_control_bytes(text) ||
        (key->choices && !is_among(key->choices, text)))
        return false;
    memcpy(value->text, text, size + 1);
    return true;
}

bool config_value_take_integer(const struct config_key *key, int64_t integer,
                               struct config_value *value)
{
    value->integer = integer;
    value->number = (double)integer;
    return is_within(key, value->number);
}

bool config_value_take_number(const struct config_key *key, double number,
                              struct config_value *value)
{
    value->number = number;
    return is_within(key, number);
}

static bool parse_integer(const char *string, int64_t *integer)
{
    bool is_negative = *string == '-';
    string += is_negative;
    *integer = 0;
    if (*string == '\0')
        return false;
    for (; *string; string++) {
        int digit = *string - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(*integer, 10, integer) ||
            __builtin_add_overflow(*integer, is_negative ? -digit : digit, integer))
            return false;
    }
    return true;
}

static bool parse_number(const char *string, double *number)
{
    char *end;
    /* Excludes strtod's "inf", "nan" and hexadecimal, and whitespace. */
    if (*string == '\0' || string[strspn(string, "+-.0123456789eE")] != '\0')
        return false;
    *number = strtod(string, &end);
    return *end == '\0'; /* 1e999 is inf: outside every range */
}

bool config_value_take_string(const struct config_key *key, const char *string,
                              struct config_value *value)
{
    int64_t integer;
    double number;
    switch (key->type) {
    case CONFIG_TEXT:
        return config_value_take_text(key, string, value);
    case CONFIG_INTEGER:
        return parse_integer(string, &integer) && config_value_take_integer(key, integer, value);
    case CONFIG_NUMBER:
        return parse_number(string, &number) && config_value_take_number(key, number, value);
    case CONFIG_BOOL:
        value->flag = strcmp(string, "true") == 0;
        return value->flag || strcmp(string, "false") == 0;
    }
    return false;
}

/* The table has defaults in file syntax: a string with quotes, a long integer with its L. */
bool config_value_take_fallback(const struct config_key *key, struct config_value *value)
{
    bool is_text = key->type == CONFIG_TEXT;
    const char *end = is_text ? "\"" : key->type == CONFIG_INTEGER ? "L" : "";
    char string[CONFIG_TEXT_BYTES];
    size_t size = 0;
    const char *at = key->fallback + is_text;
    for (; *at && *at != *end; at++) {
        at += is_text && *at == '\\';
        must(*at && size < sizeof string - 1);
        string[size++] = *at;
    }
    string[size] = '\0';
    must(!is_text || (key->fallback[0] == '"' && *at == '"'));
    return config_value_take_string(key, string, value);
}

void config_value_store(const struct config_key *key, const struct config_value *value,
                        void *target)
{
    char *at = (char *)target + key->offset;
    switch (key->type) {
    case CONFIG_TEXT:
        memcpy(at, value->text, CONFIG_TEXT_BYTES);
        return;
    case CONFIG_INTEGER:
        memcpy(at, &value->integer, sizeof value->integer);
        return;
    case CONFIG_NUMBER:
        memcpy(at, &value->number, sizeof value->number);
        return;
    case CONFIG_BOOL:
        memcpy(at, &value->flag, sizeof value->flag);
        return;
    }
}

static size_t size_of(enum config_type type)
{
    switch (type) {
    case CONFIG_TEXT:
        return CONFIG_TEXT_BYTES;
    case CONFIG_INTEGER:
        return sizeof(int64_t);
    case CONFIG_NUMBER:
        return sizeof(double);
    case CONFIG_BOOL:
        return sizeof(bool);
    }
    return 0;
}

bool config_value_is_same(const struct config_key *key, const void *left, const void *right)
{
    const char *first = (const char *)left + key->offset;
    const char *second = (const char *)right + key->offset;
    if (key->type == CONFIG_TEXT) /* anything may follow the end of the text */
        return strcmp(first, second) == 0;
    return memcmp(first, second, size_of(key->type)) == 0;
}

void config_value_copy(const struct config_key *key, const void *from, void *to)
{
    memcpy((char *)to + key->offset, (const char *)from + key->offset, size_of(key->type));
}

/* ---- printing -------------------------------------------------------------------------------- */

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

/* One comment, wrapped at spaces. */
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
