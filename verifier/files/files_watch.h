/* files_watch: is the directory behind a path the one that this server has always used?
 *
 * A share that is not mounted leaves an empty mount point, and one that is mounted later hides the
 * directory that was opened. So each of the two directories has a marker file with a UUID that the
 * database knows too. files_watch_check compares them: another directory with the right marker is
 * opened in the place of the old one (the descriptor keeps its number, so that a call which already
 * runs meets one of the two); one without it is *away*: files_use refuses it until it is back.
 *
 * Any thread may call. */
#ifndef VERIFIER_FILES_WATCH_H
#define VERIFIER_FILES_WATCH_H

#include "lib/uuid.h"
#include "verifier/files/files.h"

#include <errno.h>

#define FILES_MARKER ".tailslate-directory"

enum {
    FILES_REASON_BYTES = 512,
    FILES_CHECK_MS = 1000,       /* between two checks */
    FILES_SILENT_MS = 5 * 1000,  /* a check that takes longer counts as a failure */
    FILES_FULL_BYTES = 64 << 20, /* less free space in videos_dir: it is full */
    FILES_AWAY = ESTALE,         /* err->code of what files_use refuses; TEMPORARY */
};

/* "uploads", "videos": their names in the database. */
const char *files_root_name(enum files_root root);

struct files_watch;
/* Borrows the descriptors. */
struct files_watch *files_watch_new(const char *uploads_dir, const char *videos_dir);
void files_watch_free(struct files_watch *watch);

/* From now on a directory without a marker that is expected is away. Without this call no markers
 * are compared. */
void files_watch_require(const struct files *files);
/* What the database says; "": nothing yet. */
void files_watch_expect(const struct files *files, enum files_root root, const char *marker);
/* Compares both with their paths and markers. */
void files_watch_check(const struct files *files);

/* The marker of the directory that is behind the path now; "" without one. */
int files_watch_read(const struct files *files, enum files_root root,
                     char marker[TAILSLATE_UUID_BYTES], struct error *err);
/* Durable. */
int files_watch_write(const struct files *files, enum files_root root, const char *marker,
                      struct error *err);
/* Does it hold nothing but what the server itself makes at the start? */
bool files_watch_is_empty(const struct files *files, enum files_root root);

/* The descriptor; -1 with FILES_AWAY, and in words why. */
int files_use(const struct files *files, enum files_root root, struct error *err);
/* Before "it is not there" is believed: compares again, now. */
int files_recheck(const struct files *files, enum files_root root, struct error *err);

/* Why no new work can be done (also: read-only, no space left), in words for an operator. False:
 * nothing is wrong. */
bool files_problem(const struct files *files, char reason[FILES_REASON_BYTES]);
/* The same of one, without regard to a check that hangs. */
bool files_root_problem(const struct files *files, enum files_root root,
                        char reason[FILES_REASON_BYTES]);

#endif
