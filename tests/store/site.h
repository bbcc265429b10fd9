/* site: a watched store and the two directories beside it, all below the rig's own scratch
 * directory.
 */
#ifndef TESTS_SITE_H
#define TESTS_SITE_H

#include "fleet.h"
#include "verifier/files/files.h"

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
/* Each a playlist that names 720p. */
#define site_put(site, ...) site_put_all((site), (const char *const[]){__VA_ARGS__, NULL})
void site_put_all(const struct site *site, const char *const paths[]);
/* Fails the test unless all are there, or none; links are not followed. */
#define site_keeps(site, ...) site_inspect((site), true, (const char *const[]){__VA_ARGS__, NULL})
#define site_lacks(site, ...) site_inspect((site), false, (const char *const[]){__VA_ARGS__, NULL})
void site_inspect(const struct site *site, bool there, const char *const paths[]);

#endif
