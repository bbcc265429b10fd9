/* archive: the tar.gz files of the wire. The only module that uses libarchive.
 *
 * Unpacking trusts nothing: only regular files and directories, names checked by the caller's
 * callback, sizes and counts limited; the archive's modes, owners, times and links are ignored. */
#ifndef TAILSLATE_ARCHIVE_H
#define TAILSLATE_ARCHIVE_H

#include "lib/error.h"

#include <stddef.h>
#include <stdint.h>

struct archive_limits {
    int64_t max_bytes; /* of all files, unpacked: stops a tar bomb */
    int max_files;     /* including directories */
};

/* Write dir/names[i] as a tar.gz to out_fd. Owner and mode are left out, the time is the file's own
 * in whole seconds: the same files give the same bytes. */
int archive_pack(int dir, const char *const names[], size_t count, int out_fd, struct error *err);

/* For each regular file in the archive at in_fd: place(path, ctx) returns a regular file open for
 * writing (archive_unpack fsyncs and closes it), or -1 with *err filled to refuse the archive. A
 * leading `./` is removed; no component is `..`, and no path leads outside. After -1 some files may
 * have been written. err->code is EFBIG if a limit was exceeded, EINVAL for anything that is not a
 * tar.gz of files and directories. */
typedef int archive_place(const char *path, void *ctx, struct error *err);
int archive_unpack(int in_fd, struct archive_limits limits, archive_place *place, void *ctx,
                   struct error *err);

#endif
