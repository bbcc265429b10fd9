/* site: a watched store and the two folders beside it, all below the rig's own scratch directory.
 */
#ifndef TESTS_SITE_H
#define TESTS_SITE_H

#include "files.h"
#include "fleet.h"

struct site {
    struct rig *rig;
    struct files files;
    char *found; /* one line an orphan */
    bool preview;
};

struct site *site_new(void);
void site_free(struct site *site);

/* Paths begin with "uploads/" or "videos/". */
char *site_path(const struct site *site, const char *path); /* owned */
void site_make_dir(const struct site *site, const char *path);
void site_put(const struct site *site, const char *path); /* a playlist that names 720p */
bool site_has(const struct site *site, const char *path); /* links are not followed */

#endif
