/* config_value: what one configuration key accepts, independent of the value's origin.
 *
 * Private to config*.c. A take function says whether the key accepts the value, and then *value
 * holds it; config_value_refuse formats the message for everything that is refused. Pure, except
 * for the message. */
#ifndef COMMON_CONFIG_VALUE_H
#define COMMON_CONFIG_VALUE_H

#include "base/config.h"

#include <stdbool.h>
#include <stdint.h>

enum { CONFIG_WANT_BYTES = 160 };

struct config_value {
    bool flag;
    int64_t integer;
    double number;
    char text[CONFIG_TEXT_BYTES];
};

/* "an integer from 1 to 64" */
void config_value_want(const struct config_key *key, char want[CONFIG_WANT_BYTES]);

/* "<where>: want <...>, found <found>"; -1. */
int config_value_refuse(const struct config_key *key, const char *where, const char *found,
                        struct error *err);

bool config_value_take_text(const struct config_key *key, const char *text,
                            struct config_value *value);
bool config_value_take_integer(const struct config_key *key, int64_t integer,
                               struct config_value *value);
bool config_value_take_number(const struct config_key *key, double number,
                              struct config_value *value);
/* As in an environment variable: a string without quotes. */
bool config_value_take_word(const struct config_key *key, const char *word,
                            struct config_value *value);
bool config_value_take_fallback(const struct config_key *key, struct config_value *value);

void config_value_store(const struct config_key *key, const struct config_value *value,
                        void *target);

bool config_has_control_bytes(const char *text);

#endif
