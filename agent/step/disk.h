/* disk: how much of a file system is free. */
#ifndef AGENT_DISK_H
#define AGENT_DISK_H

#include "lib/error.h"

#include <stdint.h>

/* Of the file system that contains dir; capacity_bytes may be NULL. A test build reads the two
 * numbers from the file that TAILSLATE_TEST_DISK names. */
int disk_free_bytes(int dir, int64_t *free_bytes, struct error *err);
int disk_space(int dir, int64_t *free_bytes, int64_t *capacity_bytes, struct error *err);

#endif
