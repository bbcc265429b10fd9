/* message_fields: from a member of a body to a field of a struct. Pure; belongs to message_*.c.
 *
 * Each reader returns false with *err naming the member and what was expected, otherwise true; an
 * absent member (or null) leaves *out unchanged. */
#ifndef COMMON_MESSAGE_FIELDS_H
#define COMMON_MESSAGE_FIELDS_H

#include "lib/json.h"

#include "tailslate/problem.h"
#include "tailslate/quality.h"
#include "tailslate/warnings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The largest ID: what a JSON number can hold exactly. */
#define ID_MAX (INT64_C(1) << 53)

/* The range of a 4-byte integer column. */
enum { COLUMN_MAX = 2147483647 };

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

/* TAILSLATE_PROBLEM_BAD_JSON if the body is not a JSON object. */
enum tailslate_problem message_open(const char *body, size_t size, struct json **root,
                                    struct error *err);

bool field_int(const struct json *object, const char *key, int64_t min, int64_t max, int64_t *out,
               struct error *err);
bool field_number(const struct json *object, const char *key, double min, double *out,
                  struct error *err);
bool field_bool(const struct json *object, const char *key, bool *out, struct error *err);
/* At most size - 1 bytes, none of them a control byte. */
bool field_text(const struct json *object, const char *key, char *out, size_t size,
                struct error *err);
/* One of names (which may contain NULLs); *out is its index. */
bool field_enum(const struct json *object, const char *key, const char *const *names, size_t count,
                unsigned *out, struct error *err);
/* One of the seven qualities; required. */
bool field_quality(const struct json *object, const char *key, enum tailslate_quality *out,
                   struct error *err);
/* An array of at most max elements; *out stays NULL if it is absent. */
bool field_list(const struct json *object, const char *key, int max, const struct json **out,
                struct error *err);

/* Reads one element of a list of qualities into *item, and which quality it is about. */
typedef bool field_read_quality(const struct json *element, void *item,
                                enum tailslate_quality *quality, struct error *err);

/* A list with at most one element for each quality, read into items, an array of
 * TAILSLATE_QUALITY_COUNT elements of this size. *count: how many; 0 if the list is absent. */
bool field_qualities(const struct json *object, const char *key, field_read_quality *read,
                     void *items, size_t item_bytes, size_t *count, struct error *err);

/* The known names in an array of strings; anything else in it is ignored. */
tailslate_quality_set field_quality_names(const struct json *array);

/* Absent values are not written; TAILSLATE_ABSENT_INT and TAILSLATE_ABSENT_NUMBER are negative. */
void put_int(struct json *object, const char *key, int64_t value);
void put_number(struct json *object, const char *key, double value);
void put_text(struct json *object, const char *key, const char *text); /* NULL or "" = absent */
void put_qualities(struct json *object, const char *key, tailslate_quality_set set);

/* A list of warnings as an array of strings. */
struct json *warnings_new_array(const struct tailslate_warnings *warnings); /* owned; NULL: none */
void warnings_read(const struct json *array, struct tailslate_warnings *warnings); /* NULL: none */

char *message_close(struct json *owned_root); /* prints and frees it */

/* Copies as many whole UTF-8 sequences as fit; control bytes become spaces. */
void text_cut(char *out, size_t size, const char *text);
void text_cut_lines(char *out, size_t size, const char *text); /* newlines are kept */

#endif
