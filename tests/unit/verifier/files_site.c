#include "files_site.h"

#include <criterion/criterion.h>
#include <sys/stat.h>

struct site site_make(void)
{
    struct site site = {.scratch = scratch_make()};
    struct error err;
    TEXT(uploads) = must_printf("%s/uploads", site.scratch.path);
    TEXT(videos) = must_printf("%s/videos", site.scratch.path);
    cr_assert_eq(mkdir(uploads, 0755), 0);
    cr_assert_eq(mkdir(videos, 0755), 0);
    cr_assert_eq(files_open(uploads, videos, &site.files, &err), 0, "%s", err.message);
    return site;
}

void site_remove(struct site *site)
{
    files_close(&site->files);
    scratch_remove(&site->scratch);
}
