#include "lib/message_fields.h"

#include <float.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum tailslate_problem message_open(const char *body, size_t size, struct json **root,
                                    struct error *err)
{
    *root = json_parse(body, size, err);
    if (!*root)
        return TAILSLATE_PROBLEM_BAD_JSON;
    if (json_is_object(*root))
        return TAILSLATE_PROBLEM_NONE;
    error_set(err, ERROR_PERMANENT, 0, "JSON: expected an object");
    return TAILSLATE_PROBLEM_BAD_JSON;
}

static bool expected(struct error *err, const char *key, const char *what)
{
    error_set(err, ERROR_PERMANENT, 0, "%s: expected %s", key, what);
    return false;
}

bool field_int(const struct json *object, const char *key, int64_t min, int64_t max, int64_t *out,
               struct error *err)
{
    if (json_get_int(object, key, min, max, out) != JSON_WRONG)
        return true;
    error_set(err, ERROR_PERMANENT, 0, "%s: expected a whole number from %" PRId64 " to %" PRId64,
              key, min, max);
    return false;
}

bool field_number(const struct json *object, const char *key, double min, double *out,
                  struct error *err)
{
    if (json_get_number(object, key, min, DBL_MAX, out) != JSON_WRONG)
        return true;
    error_set(err, ERROR_PERMANENT, 0, "%s: expected a number of at least %g", key, min);
    return false;
}

bool field_bool(const struct json *object, const char *key, bool *out, struct error *err)
{
    if (json_get_bool(object, key, out) != JSON_WRONG)
        return true;
    return expected(err, key, "true or false");
}

static bool is_control(char byte)
{
    return (unsigned char)byte < ' ' || byte == 0x7f;
}

static bool has_control(const char *text)
{
    for (; *text; text++)
        if (is_control(*text))
            return true;
    return false;
}

bool field_text(const struct json *object, const char *key, char *out, size_t size,
                struct error *err)
{
    const char *text;
    enum json_found found = json_get_text(object, key, size - 1, &text);
    if (found == JSON_ABSENT)
        return true;
    if (found == JSON_WRONG || has_control(text)) {
        error_set(err, ERROR_PERMANENT, 0,
                  "%s: expected a string of at most %zu bytes without control bytes", key,
                  size - 1);
        return false;
    }
    memcpy(out, text, strlen(text) + 1);
    return true;
}

bool field_enum(const struct json *object, const char *key, const char *const *names, size_t count,
                unsigned *out, struct error *err)
{
    const struct json *member = json_get(object, key);
    if (!member)
        return true;
    const char *text = json_text(member);
    for (unsigned i = 0; text && i < count; i++) {
        if (names[i] && strcmp(names[i], text) == 0) {
            *out = i;
            return true;
        }
    }
    char known[256] = "";
    for (size_t i = 0; i < count; i++)
        if (names[i])
            snprintf(known + strlen(known), sizeof known - strlen(known), " %s", names[i]);
    error_set(err, ERROR_PERMANENT, 0, "%s: expected one of%s", key, known);
    return false;
}

bool field_quality(const struct json *object, const char *key, enum tailslate_quality *out,
                   struct error *err)
{
    const char *name = json_text(json_get(object, key));
    if (name && tailslate_quality_parse(name, out))
        return true;
    return expected(err, key, "the name of a quality");
}

bool field_list(const struct json *object, const char *key, int max, const struct json **out,
                struct error *err)
{
    const struct json *member = json_get(object, key);
    *out = member;
    if (!member || (json_is_array(member) && json_count(member) <= max))
        return true;
    error_set(err, ERROR_PERMANENT, 0, "%s: expected a list of at most %d", key, max);
    return false;
}

bool field_qualities(const struct json *object, const char *key, field_read_quality *read,
                     void *items, size_t item_bytes, size_t *count, struct error *err)
{
    const struct json *list;
    tailslate_quality_set seen = 0;
    size_t used = 0;
    if (!field_list(object, key, TAILSLATE_QUALITY_COUNT, &list, err))
        return false;
    for (const struct json *at = json_first(list); at; at = json_next(at), used++) {
        enum tailslate_quality quality;
        if (!read(at, (char *)items + used * item_bytes, &quality, err)) {
            error_wrap(err, "%s[%zu]", key, used);
            return false;
        }
        if (seen & 1u << quality) {
            error_set(err, ERROR_PERMANENT, 0, "%s: %s appears twice", key,
                      tailslate_quality_name(quality));
            return false;
        }
        seen |= 1u << quality;
    }
    *count = used;
    return true;
}

tailslate_quality_set field_quality_names(const struct json *array)
{
    tailslate_quality_set set = 0;
    enum tailslate_quality quality;
    for (const struct json *at = json_is_array(array) ? json_first(array) : NULL; at;
         at = json_next(at))
        if (json_text(at) && tailslate_quality_parse(json_text(at), &quality))
            set |= 1u << quality;
    return set;
}

void put_int(struct json *object, const char *key, int64_t value)
{
    if (value >= 0)
        json_set_int(object, key, value);
}

void put_number(struct json *object, const char *key, double value)
{
    if (value >= 0)
        json_set_number(object, key, value);
}

void put_text(struct json *object, const char *key, const char *text)
{
    if (text && *text)
        json_set_text(object, key, text);
}

void put_qualities(struct json *object, const char *key, tailslate_quality_set set)
{
    struct json *names = json_new_array();
    for (enum tailslate_quality quality = 0; quality < TAILSLATE_QUALITY_COUNT; quality++)
        if (set & (1u << quality))
            json_append_text(names, tailslate_quality_name(quality));
    json_set(object, key, names);
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
            tailslate_warnings_add(warnings, "%s", json_text(at));
}

char *message_close(struct json *owned_root)
{
    char *text = json_print(owned_root);
    json_free(owned_root);
    return text;
}

static void cut(char *out, size_t size, const char *text, bool keeps_lines)
{
    size_t length = strnlen(text, size);
    if (length == size) {
        length--;
        /* Not within a sequence. */
        while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
            length--;
    }
    for (size_t i = 0; i < length; i++)
        out[i] = is_control(text[i]) && !(keeps_lines && text[i] == '\n') ? ' ' : text[i];
    out[length] = '\0';
}

void text_cut(char *out, size_t size, const char *text)
{
    cut(out, size, text, false);
}

void text_cut_lines(char *out, size_t size, const char *text)
{
    cut(out, size, text, true);
}
