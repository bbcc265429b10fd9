/* cleanup: every resource is declared together with its release.
 *      FD(dir) = open(path, O_DIRECTORY | O_CLOEXEC);
 *      TEXT(body) = must_printf(...);
 *      return steal_fd(&dir); */
#ifndef TAILSLATE_CLEANUP_H
#define TAILSLATE_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_fd(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline void cleanup_text(char **text)
{
    free(*text);
}

static inline void cleanup_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

static inline void cleanup_file(FILE **file)
{
    if (*file)
        fclose(*file);
}

#define CLEANUP(function) __attribute__((cleanup(function)))
#define FD(name)          CLEANUP(cleanup_fd) int name
#define TEXT(name)        CLEANUP(cleanup_text) char *name
#define DIRECTORY(name)   CLEANUP(cleanup_dir) DIR *name
#define STREAM(name)      CLEANUP(cleanup_file) FILE *name

static inline int steal_fd(int *fd)
{
    int stolen = *fd;
    *fd = -1;
    return stolen;
}

static inline char *steal_text(char **text)
{
    char *stolen = *text;
    *text = NULL;
    return stolen;
}

#endif
