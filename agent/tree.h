/* tree: looks at, and makes durable, the directory tree that a transcoder leaves: `output` with a
 * directory a rendition. Symbolic links are never followed. */
#ifndef AGENT_TREE_H
#define AGENT_TREE_H

#include "tailslate/error.h"

#include <stdint.h>

enum { TREE_DEPTH_MAX = 8 };

struct tree_size {
    int64_t bytes, files;
    int64_t newest_ns; /* the latest modification */
};

/* What cannot be read does not count. */
void tree_measure(int directory, struct tree_size *size);

/* fsync of every file and directory: before the outcome says that they are there. Refuses what is
 * neither a file nor a directory. */
int tree_sync(int directory, struct error *err);

#endif
