/* config_scan: refuses, before libconfig reads a file, what libconfig 1.5 would misread in silence,
 * and @include: one file is one configuration.
 *
 * A decimal integer over 32 bits without an L behind it is cut (4294967297 becomes 1), one over 64
 * bits too, and a text ends at \x00. Private to the modules config*.c. Pure. */
#ifndef COMMON_CONFIG_SCAN_H
#define COMMON_CONFIG_SCAN_H

#include "lib/error.h"

int config_scan(const char *path, const char *content, struct error *err);

#endif
