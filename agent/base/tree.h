/* tree: measures, removes and syncs the directory tree that a transcoder writes: `output`, with one
 * directory per rendition. Symbolic links are never followed. */
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

/* Opens the directory for tree_next, in arbitrary order; the descriptor stays the caller's. NULL:
 * errno. */
DIR *tree_list(int directory);
/* NULL: end of the directory (errno 0), or an error (errno). Without "." and "..". */
struct dirent *tree_next(DIR *list);

/* Skips what cannot be read. */
void tree_measure(int directory, struct tree_size *size);

/* Removes at most *budget names of dir/name, depth first, and subtracts them from *budget; dir/name
 * itself is last. -1: something cannot be removed. */
int tree_remove_some(int dir, const char *name, unsigned *budget, struct error *err);

/* fsync of every file and directory, before the outcome states that they exist. Refuses anything
 * that is neither a file nor a directory. */
int tree_sync(int directory, struct error *err);

#endif
