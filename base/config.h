/* config: one libconfig file, read by a table. The table is the documentation.
 *
 * Order: default, file, environment TAILSLATE_<GROUP>_<KEY>. An unknown group or key, a wrong type,
 * or a value out of range or not among its choices is an error that names file:line (or the
 * variable), what was found and what is accepted. The same goes for @include, a hexadecimal number
 * and a variable of a known group that names no key. All or nothing: the target is written only on
 * success. Secrets are never values: keys name files (config_file.h). */
#ifndef TAILSLATE_CONFIG_H
#define TAILSLATE_CONFIG_H

#include "base/config_file.h"
#include "base/config_value.h"
#include "lib/error.h"

#include <stddef.h>

enum { CONFIG_FILE_MAX_BYTES = 65536 };

/* The file to load: named, if the operator named one; otherwise the usual one, or NULL if it does
 * not exist: then the environment alone configures. */
const char *config_find(const char *named, const char *usual);

/* target: the struct that the offsets refer to. path NULL: defaults and environment only. */
int config_load(const struct config_key *keys, size_t count, const char *path, void *target,
                struct error *err);

/* For errors that concern several keys: prefixes the message with the origin of this key's value:
 * the variable, file:line, or the file if it is the default. Returns -1. */
int config_blame(const char *path, const char *group, const char *name, struct error *err);

#endif
