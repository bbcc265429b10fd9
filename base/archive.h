/* archive: the tar.gz of the wire (libarchive stands behind it, and nowhere else).
 *
 * Unpacking trusts nothing: only regular files and directories, names checked by the caller's
 * callback, sizes and counts bounded; the archive's modes, owners, times and links are ignored. */
#ifndef TAILSLATE_ARCHIVE_H
#define TAILSLATE_ARCHIVE_H

#include "lib/error.h"

#include <stddef.h>
#include <stdint.h>

struct archive_limits {
    int64_t max_bytes; /* of all files, unpacked: a tar bomb ends here */
    int max_files;     /* directories count too */
};

/* Write dir/names[i] as a tar.gz to out_fd. Owner and mode are left out, the time is the file's own
 * in whole seconds: the same files make the same bytes. */
int archive_pack(int dir, const char *const names[], size_t count, int out_fd, struct error *err);

/* For each regular file in the archive at in_fd: place(path, ctx) returns a regular file open
 * for writing (archive_unpack fsyncs and closes it), or -1 with *err filled to refuse the archive.
 * `./` in front is taken off; no component is `..`, none leads outside. After -1 some may be there
 * already. err->code is EFBIG where a limit was hit, EINVAL for what is no tar.gz or holds
 * something else than files and directories. */
typedef int archive_place(const char *path, void *ctx, struct error *err);
int archive_unpack(int in_fd, struct archive_limits limits, archive_place *place, void *ctx,
                   struct error *err);

#endif
