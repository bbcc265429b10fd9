/* files_site: a scratch directory with an uploads and a videos directory, opened. */
#ifndef FILES_SITE_H
#define FILES_SITE_H

#include "../base/scratch.h"
#include "verifier/files/files.h"

struct site {
    struct scratch scratch;
    struct files files;
};

struct site site_make(void);
void site_remove(struct site *site);
#define SITE(name) CLEANUP(site_remove) struct site name = site_make()

#endif
