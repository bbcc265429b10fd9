/* directories: compares uploads_dir and videos_dir with the database, at the start and then every
 * second in a thread of its own, so that a share that hangs hangs nothing else. */
#ifndef VERIFIER_DIRECTORIES_H
#define VERIFIER_DIRECTORIES_H

#include "verifier/files/files_watch.h"
#include "verifier/store/store.h"

/* Once. A directory that the database does not know yet is adopted: its marker is written. What is
 * wrong is for files_problem to say. */
void directories_check(struct store *store, struct files *files);
/* The same without adopting: nothing is written. */
void directories_compare(struct store *store, struct files *files);
/* An operator says that these are the directories: both get a new marker. */
int directories_adopt(struct store *store, struct files *files, struct error *err);

struct directories;
struct directories *directories_start(struct store *store, struct files *files);
/* False: a directory or the store still hangs; free nothing that it uses, only call _exit. */
enum { DIRECTORIES_STOP_MS = 1000 };
bool directories_stop(struct directories *directories);

#endif
