/* config: one libconfig file, read by a table. The table is the documentation.
 *
 * Order: default, file, environment TAILSLATE_<GROUP>_<KEY>. An unknown group or key, a wrong type,
 * or a value out of range or not among its choices is an error that names file:line (or the
 * variable), what was found and what is accepted. The same goes for @include, a hexadecimal number
 * and a variable of a known group that names no key. All or nothing: the target is written only on
 * success. Secrets are never values: keys name files (config_read_secret). */
#ifndef TAILSLATE_CONFIG_H
#define TAILSLATE_CONFIG_H

#include "lib/error.h"

#include <stddef.h>
#include <stdio.h>

enum { CONFIG_TEXT_BYTES = 1024, CONFIG_SECRET_BYTES = 512, CONFIG_FILE_MAX_BYTES = 65536 };

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

/* target: the struct that the offsets refer to. path NULL: defaults and environment only. */
int config_load(const struct config_key *keys, size_t count, const char *path, void *target,
                struct error *err);

/* For errors that concern several keys: prefixes the message with the origin of this key's value:
 * the variable, file:line, or the file if it is the default. Returns -1. */
int config_blame(const char *path, const char *group, const char *name, struct error *err);

/* The effective values in libconfig's syntax. */
void config_print(const struct config_key *keys, size_t count, const void *target, FILE *out);

/* The sample: header (a comment, may be NULL), every key with its help and its default. */
void config_print_sample(const struct config_key *keys, size_t count, const char *header,
                         FILE *out);

/* Read a secret: the first line of the file, without the line end. Refuses a file that group or
 * others can read, an empty line, more than CONFIG_SECRET_BYTES - 1, and control characters. A name
 * without a slash is first looked up in $CREDENTIALS_DIRECTORY (a systemd credential); there the
 * group's read bit is accepted, because systemd grants access by an ACL, whose mask appears as that
 * bit. */
int config_read_secret(const char *path, char secret[CONFIG_SECRET_BYTES], struct error *err);

#endif
