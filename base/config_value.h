/* config_value: the rows of a configuration table: what a key accepts, independent of the value's
 * origin, and how it is printed.
 *
 * A take function says whether the key accepts the value, and then *value
 * holds it; config_value_refuse formats the message for everything that is refused. Pure, except
 * for the message. */
#ifndef TAILSLATE_CONFIG_VALUE_H
#define TAILSLATE_CONFIG_VALUE_H

#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { CONFIG_TEXT_BYTES = 1024, CONFIG_WANT_BYTES = 160 };

enum config_type {
    CONFIG_TEXT,    /* target: char[CONFIG_TEXT_BYTES] */
    CONFIG_INTEGER, /* target: int64_t */
    CONFIG_NUMBER,  /* target: double; an integer is accepted */
    CONFIG_BOOL,    /* target: bool */
};

struct config_key {
    const char *group, *name;
    enum config_type type;
    size_t offset;        /* into the target struct */
    const char *fallback; /* the default, as in a file: "\"text\"" for a string */
    double min, max;      /* INTEGER and NUMBER */
    const char *choices;  /* TEXT: "a|b|c", or NULL for any */
    const char *help;     /* one line with the unit; printed in the sample */
};

/* Rows for a struct with one member for each group and in it one for each key, by the same names. A
 * table's file defines CONFIG_TARGET as that struct. */
// clang-format off
#define CONFIG_TEXT_KEY(group, name, fallback, choices, help) \
    {#group, #name, CONFIG_TEXT, offsetof(CONFIG_TARGET, group.name), "\"" fallback "\"", 0, 0, choices, help}
#define CONFIG_INTEGER_KEY(group, name, fallback, min, max, help) \
    {#group, #name, CONFIG_INTEGER, offsetof(CONFIG_TARGET, group.name), #fallback, min, max, NULL, help}
#define CONFIG_NUMBER_KEY(group, name, fallback, min, max, help) \
    {#group, #name, CONFIG_NUMBER, offsetof(CONFIG_TARGET, group.name), #fallback, min, max, NULL, help}
#define CONFIG_BOOL_KEY(group, name, fallback, help) \
    {#group, #name, CONFIG_BOOL, offsetof(CONFIG_TARGET, group.name), #fallback, 0, 0, NULL, help}
// clang-format on

struct config_value {
    bool flag;
    int64_t integer;
    double number;
    char text[CONFIG_TEXT_BYTES];
};

/* "an integer from 1 to 64" */
void config_value_want(const struct config_key *key, char want[CONFIG_WANT_BYTES]);

/* "<where>: expected <...>, found <found>"; -1. */
int config_value_refuse(const struct config_key *key, const char *where, const char *found,
                        struct error *err);

bool config_value_take_text(const struct config_key *key, const char *text,
                            struct config_value *value);
bool config_value_take_integer(const struct config_key *key, int64_t integer,
                               struct config_value *value);
bool config_value_take_number(const struct config_key *key, double number,
                              struct config_value *value);
/* As in an environment variable: a string without quotes. */
bool config_value_take_string(const struct config_key *key, const char *string,
                              struct config_value *value);
bool config_value_take_fallback(const struct config_key *key, struct config_value *value);

void config_value_store(const struct config_key *key, const struct config_value *value,
                        void *target);

/* One key's value in two target structs. */
bool config_value_is_same(const struct config_key *key, const void *left, const void *right);
void config_value_copy(const struct config_key *key, const void *from, void *to);

bool config_has_control_bytes(const char *text);

/* The effective values in libconfig's syntax. */
void config_print(const struct config_key *keys, size_t count, const void *target, FILE *out);

/* The sample: header (a comment, may be NULL), every key with its help and its default. */
void config_print_sample(const struct config_key *keys, size_t count, const char *header,
                         FILE *out);

#endif
