/* config_scan: refuses what libconfig 1.5 would silently misread, before it reads a file, and
 * @include: one file is one configuration.
 *
 * A decimal integer over 32 bits without a trailing L is truncated (4294967297 becomes 1), one over
 * 64 bits too, and a string ends at \x00. Private to config*.c. Pure. */
#ifndef COMMON_CONFIG_SCAN_H
#define COMMON_CONFIG_SCAN_H

#include "lib/error.h"

int config_scan(const char *path, const char *content, struct error *err);

#endif
