/* files_source: a file becomes a source: copied or linked into uploads_dir under a temporary name,
 * durable, and then named by its video. What a process that dies leaves there is a temporary file,
 * which the removal of orphans takes away. */
#ifndef VERIFIER_FILES_SOURCE_H
#define VERIFIER_FILES_SOURCE_H

#include "verifier/files/files.h"

enum { FILES_COPY_STEP_BYTES = 8 << 20 };

struct files_incoming {
    int from;  /* a regular file */
    bool link; /* a hard link instead of a copy: the file keeps its owner and mode */
    void (*progress)(void *ctx, int64_t done_bytes); /* after each step; NULL: none */
    void *ctx;
    char temp[64]; /* out: "": nothing to drop */
};
/* A reflink where the file system can, else a copy. EXDEV: cannot be linked to; EACCES: the server
 * could not read what would be linked to; EAGAIN: it was changed meanwhile. */
int files_take_in(const struct files *files, struct files_incoming *incoming, struct error *err);
/* Give it its name. What has that number already goes to the trash. */
int files_place_source(const struct files *files, const char *temp, int64_t video_id,
                       const char *extension, struct error *err);
void files_drop_source(const struct files *files, const char *temp);

#endif
