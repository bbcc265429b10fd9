/* add_progress: a line on the terminal while a source is copied: bytes, percent, rate. Nothing
 * where stderr is no terminal. */
#ifndef VERIFIER_ADD_PROGRESS_H
#define VERIFIER_ADD_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct add_progress {
    const char *name; /* borrowed */
    int64_t total, began_ms, shown_ms;
    bool is_terminal, is_shown;
};
void add_progress_begin(struct add_progress *progress, const char *path, int64_t total_bytes);
void add_progress_show(void *progress, int64_t done_bytes);
void add_progress_end(struct add_progress *progress); /* takes the line away */

#endif
