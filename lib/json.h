/* json: reads and writes JSON within limits. The only module that uses cJSON (with json_scan.h).
 *
 * Refused before or while parsing: more than JSON_MAX_BYTES, more than JSON_MAX_NODES values,
 * nesting deeper than JSON_MAX_DEPTH, `\u0000` or a NUL (cJSON would truncate the string there and
 * let a poisoned token pass), a duplicate key in an object, invalid UTF-8, a number that no double
 * can hold, anything after the value. Numbers are range-checked as doubles (cJSON turns 1e40 into
 * INT_MAX). Nodes below the root are borrowed and live as long as the root. */
#ifndef TAILSLATE_JSON_H
#define TAILSLATE_JSON_H

#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { JSON_MAX_BYTES = 1 << 20, JSON_MAX_DEPTH = 16, JSON_MAX_NODES = 1 << 16 };
enum { JSON_LARGE_MAX_BYTES = 1 << 24, JSON_LARGE_MAX_NODES = 1 << 19 };

struct json;

/* NULL with *err filled if it is not acceptable JSON. Free with json_free. */
struct json *json_parse(const char *text, size_t size, struct error *err);
/* The same up to JSON_LARGE_MAX_*, for a file that this program has written itself. */
struct json *json_parse_large(const char *text, size_t size, struct error *err);
void json_free(struct json *root); /* may be NULL */
void json_cleanup(struct json **root);
#define JSON(name) __attribute__((cleanup(json_cleanup))) struct json *name

/* The length of the UTF-8 sequence at text, 1 to 4; 0 if it is invalid. A NUL is a sequence. */
size_t json_utf8_length(const char *text, size_t size);

bool json_is_object(const struct json *node);
bool json_is_array(const struct json *node);
int json_count(const struct json *node); /* members or elements */
const struct json *json_at(const struct json *array, int index);
/* To iterate over a long list, because json_at is linear: the first element or member, or NULL; the
 * next one. */
const struct json *json_first(const struct json *container);
const struct json *json_next(const struct json *node);
const char *json_key_at(const struct json *object, int index); /* the index-th member's name */
/* NULL: no such member, null (the wire treats both alike), or object is not an object. */
const struct json *json_get(const struct json *object, const char *key);

/* The value of a member. ABSENT leaves *out unchanged; WRONG: another type or out of range. */
enum json_found { JSON_ABSENT, JSON_FOUND, JSON_WRONG };
enum json_found json_get_int(const struct json *object, const char *key, int64_t min, int64_t max,
                             int64_t *out); /* an integral number; |value| <= 2^53 */
enum json_found json_get_number(const struct json *object, const char *key, double min, double max,
                                double *out); /* finite */
enum json_found json_get_bool(const struct json *object, const char *key, bool *out);
/* Bytes without the NUL; *out is borrowed. */
enum json_found json_get_text(const struct json *object, const char *key, size_t max_bytes,
                              const char **out);
/* The value of a node itself, for example of a list's element. */
const char *json_text(const struct json *node); /* NULL if it is not a string */
enum json_found json_int(const struct json *node, int64_t min, int64_t max, int64_t *out);

struct json *json_new_object(void);
struct json *json_new_array(void);
/* Setting an existing member replaces it. Each byte of invalid UTF-8 becomes `?`. */
void json_set_text(struct json *object, const char *key, const char *text);   /* NULL: null */
void json_set_filled(struct json *object, const char *key, const char *text); /* "": null, too */
void json_set_int(struct json *object, const char *key, int64_t value);
void json_set_id(struct json *object, const char *key, int64_t id);       /* 0: null */
void json_set_number(struct json *object, const char *key, double value); /* not finite: null */
void json_set_bool(struct json *object, const char *key, bool value);
void json_set(struct json *object, const char *key, struct json *owned_child); /* NULL: null */
void json_append(struct json *array, struct json *owned_child);
void json_append_text(struct json *array, const char *text);
void json_append_int(struct json *array, int64_t value);
struct json *json_copy(const struct json *node);

char *json_print(const struct json *node);          /* one line, owned by the caller */
char *json_print_pretty(const struct json *node);   /* indented, for people */
void json_show(const struct json *node, FILE *out); /* the same, with a final newline */

#endif
