/* config_file: reads a file that an operator named, up to a limit.
 *
 * Follows links (a mounted configuration is one), refuses anything but a regular file, and never
 * blocks on a FIFO. config_scan refuses what libconfig 1.5 would silently misread: a decimal
 * integer over 32 bits without a trailing L is truncated (4294967297 becomes 1), one over 64 bits
 * too, and a string ends at \x00. */
#ifndef TAILSLATE_CONFIG_FILE_H
#define TAILSLATE_CONFIG_FILE_H

#include "lib/error.h"

#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

/* The descriptor and its fstat, or -1. */
int config_file_open(const char *path, struct stat *status, struct error *err);

/* The first bytes, at most max: ask for one more than allowed to detect a file that is too long. -1
 * with errno. */
ssize_t config_file_read(int fd, char *data, size_t max);

/* Also refuses @include: one file is one configuration. path: for the message. Pure. */
int config_scan(const char *path, const char *content, struct error *err);

enum { CONFIG_SECRET_BYTES = 512 };

/* Read a secret: the first line of the file, without the line end. Refuses a file that group or
 * others can read, an empty line, more than CONFIG_SECRET_BYTES - 1, and control characters. A name
 * without a slash is first looked up in $CREDENTIALS_DIRECTORY (a systemd credential).
 *
 * The group's read bit is accepted in that directory, because systemd grants access by an ACL,
 * whose mask appears as that bit; and on a file that belongs to root and to an effective or
 * supplementary group of this process (a Kubernetes secret with fsGroup). */
int config_read_secret(const char *path, char secret[CONFIG_SECRET_BYTES], struct error *err);

#endif
