/* tree: looks at, and makes durable, the directory tree that a transcoder leaves: `output` with a
 * directory a rendition. Symbolic links are never followed. */
#ifndef AGENT_TREE_H
#define AGENT_TREE_H

#include "lib/error.h"

#include <dirent.h>
#include <stdint.h>

enum { TREE_DEPTH_MAX = 8 };

struct tree_size {
    int64_t bytes, files;
    int64_t newest_ns; /* the latest modification */
};

/* The names in it, in an order of its own; the descriptor stays the caller's. NULL: errno. */
DIR *tree_list(int directory);
/* NULL: that was the last (errno 0), or errno. Without "." and "..". */
struct dirent *tree_next(DIR *list);

/* What cannot be read does not count. */
void tree_measure(int directory, struct tree_size *size);

/* Takes at most *budget names out of dir/name, depth first, and counts them off; dir/name itself is
 * the last. -1: something cannot be removed. */
int tree_remove_some(int dir, const char *name, unsigned *budget, struct error *err);

/* fsync of every file and directory: before the outcome says that they are there. Refuses what is
 * neither a file nor a directory. */
int tree_sync(int directory, struct error *err);

#endif
