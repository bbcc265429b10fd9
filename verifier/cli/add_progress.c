#include "verifier/cli/add_progress.h"

#include "base/clock.h"
#include "verifier/cli/command_add.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { NAME_MAX_BYTES = 32 };

void add_progress_begin(struct add_progress *progress, const char *path, int64_t total_bytes)
{
    const char *slash = strrchr(path, '/');
    *progress = (struct add_progress){.name = slash ? slash + 1 : path,
                                      .total = total_bytes,
                                      .began_ms = mono_ms(),
                                      .is_terminal = isatty(STDERR_FILENO) == 1};
    progress->shown_ms = progress->began_ms;
}

/* Control characters of a file name do not reach the terminal. */
static void printable(const char *name, char text[NAME_MAX_BYTES + 1])
{
    snprintf(text, NAME_MAX_BYTES + 1, "%s", name);
    for (char *at = text; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
}

void add_progress_show(void *ctx, int64_t done_bytes)
{
    struct add_progress *progress = ctx;
    int64_t now_ms = mono_ms();
    char name[NAME_MAX_BYTES + 1];
    if (!progress->is_terminal || now_ms - progress->shown_ms < ADD_PROGRESS_MS)
        return;
    progress->shown_ms = now_ms;
    progress->is_shown = true;
    printable(progress->name, name);
    fprintf(stderr, "\r\033[K%s  %.1f of %.1f MB, %d%%, %.0f MB/s", name, (double)done_bytes / 1e6,
            (double)progress->total / 1e6,
            progress->total > 0 ? (int)(done_bytes * 100 / progress->total) : 0,
            (double)done_bytes / 1e3 / (double)(now_ms - progress->began_ms + 1));
    fflush(stderr);
}

void add_progress_end(struct add_progress *progress)
{
    if (progress->is_shown)
        fputs("\r\033[K", stderr);
}
