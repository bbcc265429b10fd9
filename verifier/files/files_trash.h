/* files_trash: the trash directories, and how old a tree is.
 *
 *   videos_dir/.trash/<label>.<uuid>/, uploads_dir/.trash/<label>.<uuid>/
 *
 * Something goes to the trash by a rename, into a directory of its own, so that names never meet.
 * It is deleted trash_hours after that; until then an operator can take it back by a rename.
 *
 * Refuses to follow a link, to cross into another mount, and to call a tree old that it could not
 * see whole. */
#ifndef VERIFIER_FILES_TRASH_H
#define VERIFIER_FILES_TRASH_H

#include "verifier/files/files.h"

#define FILES_TRASH   ".trash"
#define FILES_STAGING ".staging"

enum { FILES_DEPTH_MAX = 16, FILES_ENTRIES_MAX = 500 * 1000 };

/* One directory in the trash, made when the first thing goes there. */
struct files_bin {
    int root; /* uploads or videos; borrowed */
    const char *label;
    int trash; /* -1: nothing was put yet */
};
#define FILES_BIN(root, label)                                                                     \
    {                                                                                              \
        (root), (label), -1                                                                        \
    }
/* The rename alone; then, once for all that came from dir: */
int files_bin_put(struct files_bin *bin, int dir, const char *name, struct error *err);
int files_bin_sync(struct files_bin *bin, int dir, struct error *err);
void files_bin_close(struct files_bin *bin);

/* What is below dir/name, itself included. */
struct files_tree {
    int64_t newest_ms;   /* of all times of modification and of change, since 1970 */
    int64_t modified_ms; /* of those of modification alone: a new owner or mode is none */
    int64_t entries;
    bool is_strange; /* another mount, too deep, too large, or unreadable */
};
/* Not there: -1 with ENOENT. */
int files_inspect(int dir, const char *name, struct files_tree *tree, struct error *err);
/* The entry's own time, newer of modification and change; links are not followed. 0: not there. */
int64_t files_own_time(int dir, const char *name);

/* Delete dir/name for good, tree or not. A tree that is_strange is left (*gone false). */
int files_delete(int dir, const char *name, bool *gone, struct error *err);

#endif
