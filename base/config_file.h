/* config_file: bounded reading of a file that an operator named.
 *
 * Private to the modules config*.c. Links are followed (a mounted configuration is one), anything
 * but a regular file is refused, and no fifo is waited for. */
#ifndef COMMON_CONFIG_FILE_H
#define COMMON_CONFIG_FILE_H

#include "lib/error.h"

#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

/* The descriptor, and its fstat; or -1. */
int config_file_open(const char *path, struct stat *status, struct error *err);

/* The first bytes, at most max: ask for one more than is allowed to see that it is too long.
 * -1 with errno. */
ssize_t config_file_read(int fd, char *data, size_t max);

#endif
