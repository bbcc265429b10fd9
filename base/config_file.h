/* config_file: reads a file that an operator named, up to a limit.
 *
 * Private to config*.c. Follows links (a mounted configuration is one), refuses anything but a
 * regular file, and never blocks on a FIFO. */
#ifndef COMMON_CONFIG_FILE_H
#define COMMON_CONFIG_FILE_H

#include "lib/error.h"

#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

/* The descriptor and its fstat, or -1. */
int config_file_open(const char *path, struct stat *status, struct error *err);

/* The first bytes, at most max: ask for one more than allowed to detect a file that is too long. -1
 * with errno. */
ssize_t config_file_read(int fd, char *data, size_t max);

#endif
