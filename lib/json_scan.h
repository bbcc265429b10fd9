/* json_scan: is this text JSON that json.c may pass to cJSON? Pure; belongs to json.c.
 *
 * cJSON is lenient where the wire must not be: it truncates a string at `\u0000`, accepts raw
 * control bytes and any UTF-8, and truncates numbers at 63 bytes. So the grammar of RFC 8259 is
 * checked here, strictly and with limits, and cJSON only builds the tree. */
#ifndef COMMON_JSON_SCAN_H
#define COMMON_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

/* The capacity of cJSON's own buffer for a number. */
enum { JSON_NUMBER_MAX_BYTES = 63 };

/* With at most max_nodes values. False: *why says what is wrong (a constant), *where at which byte.
 */
bool json_scan(const char *text, size_t size, size_t max_nodes, const char **why, size_t *where);

#endif
