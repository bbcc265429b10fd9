#include "lib/json.h"

#include "lib/json_scan.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The largest integer up to which a double holds every one. */
#define EXACT_MAX 9007199254740992.0

/* A struct json is a cJSON node; only this file knows. */
static const cJSON *node_of(const struct json *node)
{
    return (const cJSON *)node;
}

static cJSON *mutable_of(struct json *node)
{
    return (cJSON *)node;
}

static struct json *made(cJSON *node)
{
    must(node);
    return (struct json *)node;
}

static int compare_keys(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* cJSON would return the first of two, Python's parser the last: a body with two meanings is
 * refused. */
static bool has_key_twice(const cJSON *object)
{
    size_t count = (size_t)cJSON_GetArraySize(object), at = 0;
    const char **keys = must_malloc(count * sizeof *keys);
    const cJSON *member;
    cJSON_ArrayForEach(member, object) keys[at++] = member->string;
    qsort(keys, count, sizeof *keys, compare_keys);
    bool twice = false;
    for (size_t i = 1; i < count && !twice; i++)
        twice = strcmp(keys[i - 1], keys[i]) == 0;
    free(keys);
    return twice;
}

/* Recursion is limited: json_scan has refused anything nested deeper than JSON_MAX_DEPTH. */
static bool has_key_twice_anywhere(const cJSON *node)
{
    if (cJSON_IsObject(node) && has_key_twice(node))
        return true;
    const cJSON *child;
    cJSON_ArrayForEach(child, node)
    {
        if (has_key_twice_anywhere(child))
            return true;
    }
    return false;
}

static struct json *parse(const char *text, size_t size, size_t max_bytes, size_t max_nodes,
                          struct error *err)
{
    const char *why;
    size_t where;
    if (size > max_bytes) {
        error_set(err, ERROR_PERMANENT, 0, "JSON: longer than %zu bytes", max_bytes);
        return NULL;
    }
    if (!json_scan(text, size, max_nodes, &why, &where)) {
        error_set(err, ERROR_PERMANENT, 0, "JSON: %s at byte %zu", why, where);
        return NULL;
    }
    /* The scan is stricter than cJSON; but if they ever disagree, a client's bytes must not abort
     * us. */
    cJSON *root = cJSON_ParseWithLength(text, size);
    if (!root) {
        error_set(err, ERROR_PERMANENT, 0, "JSON: not readable");
        return NULL;
    }
    if (has_key_twice_anywhere(root)) {
        cJSON_Delete(root);
        error_set(err, ERROR_PERMANENT, 0, "JSON: an object has the same member twice");
        return NULL;
    }
    return made(root);
}

struct json *json_parse(const char *text, size_t size, struct error *err)
{
    return parse(text, size, JSON_MAX_BYTES, JSON_MAX_NODES, err);
}

struct json *json_parse_large(const char *text, size_t size, struct error *err)
{
    return parse(text, size, JSON_LARGE_MAX_BYTES, JSON_LARGE_MAX_NODES, err);
}

void json_free(struct json *root)
{
    cJSON_Delete(mutable_of(root));
}

void json_cleanup(struct json **root)
{
    json_free(*root);
}

bool json_is_object(const struct json *node)
{
    return cJSON_IsObject(node_of(node));
}

bool json_is_array(const struct json *node)
{
    return cJSON_IsArray(node_of(node));
}

int json_count(const struct json *node)
{
    return cJSON_GetArraySize(node_of(node));
}

const struct json *json_at(const struct json *array, int index)
{
    return (const struct json *)cJSON_GetArrayItem(node_of(array), index);
}

const struct json *json_first(const struct json *container)
{
    return container ? (const struct json *)node_of(container)->child : NULL;
}

const struct json *json_next(const struct json *node)
{
    return (const struct json *)node_of(node)->next;
}

const char *json_key_at(const struct json *object, int index)
{
    const cJSON *member = json_is_object(object) ? node_of(json_at(object, index)) : NULL;
    return member ? member->string : NULL;
}

const struct json *json_get(const struct json *object, const char *key)
{
    if (!json_is_object(object))
        return NULL;
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(node_of(object), key);
    return cJSON_IsNull(member) ? NULL : (const struct json *)member;
}

static enum json_found number_of(const struct json *node, double min, double max, double *out)
{
    const cJSON *number = node_of(node);
    if (!number || cJSON_IsNull(number))
        return JSON_ABSENT;
    double value = cJSON_IsNumber(number) ? number->valuedouble : NAN;
    if (!isfinite(value) || value < min || value > max)
        return JSON_WRONG;
    *out = value + 0.0; /* -0 becomes 0 */
    return JSON_FOUND;
}

enum json_found json_get_number(const struct json *object, const char *key, double min, double max,
                                double *out)
{
    return number_of(json_get(object, key), min, max, out);
}

enum json_found json_int(const struct json *node, int64_t min, int64_t max, int64_t *out)
{
    double value;
    enum json_found found = number_of(node, -EXACT_MAX, EXACT_MAX, &value);
    if (found != JSON_FOUND)
        return found;
    if (floor(value) != value || (int64_t)value < min || (int64_t)value > max)
        return JSON_WRONG;
    *out = (int64_t)value;
    return JSON_FOUND;
}

enum json_found json_get_int(const struct json *object, const char *key, int64_t min, int64_t max,
                             int64_t *out)
{
    return json_int(json_get(object, key), min, max, out);
}

enum json_found json_get_bool(const struct json *object, const char *key, bool *out)
{
    const cJSON *member = node_of(json_get(object, key));
    if (!member)
        return JSON_ABSENT;
    if (!cJSON_IsBool(member))
        return JSON_WRONG;
    *out = cJSON_IsTrue(member);
    return JSON_FOUND;
}

enum json_found json_get_text(const struct json *object, const char *key, size_t max_bytes,
                              const char **out)
{
    const struct json *member = json_get(object, key);
    if (!member)
        return JSON_ABSENT;
    const char *text = json_text(member);
    if (!text || strlen(text) > max_bytes)
        return JSON_WRONG;
    *out = text;
    return JSON_FOUND;
}

const char *json_text(const struct json *node)
{
    return cJSON_GetStringValue(node_of(node));
}

struct json *json_new_object(void)
{
    return made(cJSON_CreateObject());
}

struct json *json_new_array(void)
{
    return made(cJSON_CreateArray());
}

/* cJSON prints bytes unchanged, and a server refuses a whole body for one invalid byte: a file name
 * or a transcoder's last message may contain anything. */
static struct json *new_text(const char *text)
{
    if (!text)
        return made(cJSON_CreateNull());
    char *clean = must_strdup(text);
    size_t size = strlen(clean);
    for (size_t at = 0; at < size;) {
        size_t length = json_utf8_length(clean + at, size - at);
        if (length == 0) {
            clean[at] = '?';
            length = 1;
        }
        at += length;
    }
    struct json *node = made(cJSON_CreateString(clean));
    free(clean);
    return node;
}

void json_set_text(struct json *object, const char *key, const char *text)
{
    json_set(object, key, new_text(text));
}

void json_set_filled(struct json *object, const char *key, const char *text)
{
    json_set_text(object, key, text && text[0] ? text : NULL);
}

void json_set_int(struct json *object, const char *key, int64_t value)
{
    must(fabs((double)value) <= EXACT_MAX);
    json_set(object, key, made(cJSON_CreateNumber((double)value)));
}

void json_set_number(struct json *object, const char *key, double value)
{
    json_set(object, key, made(isfinite(value) ? cJSON_CreateNumber(value) : cJSON_CreateNull()));
}

void json_set_bool(struct json *object, const char *key, bool value)
{
    json_set(object, key, made(cJSON_CreateBool(value)));
}

void json_set_id(struct json *object, const char *key, int64_t id)
{
    if (id != 0)
        json_set_int(object, key, id);
    else
        json_set(object, key, NULL);
}

void json_set(struct json *object, const char *key, struct json *owned_child)
{
    must(json_is_object(object));
    struct json *child = owned_child ? owned_child : made(cJSON_CreateNull());
    cJSON_DeleteItemFromObjectCaseSensitive(mutable_of(object), key);
    must(cJSON_AddItemToObject(mutable_of(object), key, mutable_of(child)));
}

void json_append(struct json *array, struct json *owned_child)
{
    must(json_is_array(array));
    must(cJSON_AddItemToArray(mutable_of(array), mutable_of(owned_child)));
}

void json_append_text(struct json *array, const char *text)
{
    json_append(array, new_text(text));
}

struct json *json_copy(const struct json *node)
{
    return made(cJSON_Duplicate(node_of(node), true));
}

void json_append_int(struct json *array, int64_t value)
{
    must(fabs((double)value) <= EXACT_MAX);
    json_append(array, made(cJSON_CreateNumber((double)value)));
}

/* The shortest text that reads back as the same double. */
static void format_number(double value, char text[32])
{
    if (floor(value) == value && fabs(value) <= EXACT_MAX) {
        snprintf(text, 32, "%.0f", value == 0 ? 0.0 : value);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, 32, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
}

/* cJSON treats two doubles within an epsilon as equal, and so prints 2^53 - 1 as something else:
 * numbers are passed to it as raw text. */
static void make_numbers_raw(cJSON *node)
{
    if (cJSON_IsNumber(node)) {
        char text[32];
        format_number(node->valuedouble, text);
        node->valuestring = cJSON_malloc(sizeof text);
        must(node->valuestring);
        memcpy(node->valuestring, text, sizeof text);
        node->type = cJSON_Raw;
    }
    cJSON *child;
    cJSON_ArrayForEach(child, node) make_numbers_raw(child);
}

static char *print(const struct json *node, char *(*printer)(const cJSON *))
{
    struct json *copy = json_copy(node);
    make_numbers_raw(mutable_of(copy));
    char *text = printer(mutable_of(copy));
    must(text);
    json_free(copy);
    return text;
}

char *json_print(const struct json *node)
{
    return print(node, cJSON_PrintUnformatted);
}

char *json_print_pretty(const struct json *node)
{
    return print(node, cJSON_Print);
}

void json_show(const struct json *node, FILE *out)
{
    char *text = json_print_pretty(node);
    fprintf(out, "%s\n", text);
    free(text);
}
