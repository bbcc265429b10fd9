#include "site.h"

#include "lib/cleanup.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

char *site_path(const struct site *site, const char *path)
{
    return must_printf("%s/%s", site->rig->dir, path);
}

void site_make_dir(const struct site *site, const char *path)
{
    TEXT(whole) = site_path(site, path);
    cr_assert(mkdir(whole, 0755) == 0 || errno == EEXIST, "%s", whole);
}

static void put(const struct site *site, const char *path)
{
    TEXT(whole) = site_path(site, path);
    for (char *slash = whole + strlen(site->rig->dir) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        cr_assert(mkdir(whole, 0755) == 0 || errno == EEXIST, "%s", whole);
        *slash = '/';
    }
    STREAM(file) = fopen(whole, "we");
    cr_assert(file, "%s", whole);
    fprintf(file, "#EXTM3U\n720p/stream.m3u8\n");
}

void site_put_all(const struct site *site, const char *const paths[])
{
    for (; *paths; paths++)
        put(site, *paths);
}

void site_inspect(const struct site *site, bool there, const char *const paths[])
{
    struct stat status;
    for (; *paths; paths++) {
        TEXT(whole) = site_path(site, *paths);
        cr_expect((lstat(whole, &status) == 0) == there, "%s is %sthere", *paths,
                  there ? "not " : "");
    }
}

struct site *site_new(void)
{
    struct site *site = must_calloc(1, sizeof *site);
    struct error err;
    site->rig = fleet_new();
    site->found = must_strdup("");
    site_make_dir(site, "uploads");
    site_make_dir(site, "videos");
    TEXT(uploads) = site_path(site, "uploads");
    TEXT(videos) = site_path(site, "videos");
    cr_assert_eq(files_open(uploads, videos, &site->files, &err), 0, "%s", err.message);
    return site;
}

void site_free(struct site *site)
{
    files_close(&site->files);
    rig_free(site->rig);
    free(site->found);
    free(site);
}
