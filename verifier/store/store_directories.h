/* store_directories: by which marker the database knows uploads_dir and videos_dir
 * (verifier/files/files_watch.h). Several verifiers share both. */
#ifndef VERIFIER_STORE_DIRECTORIES_H
#define VERIFIER_STORE_DIRECTORIES_H

#include "lib/uuid.h"
#include "verifier/store/store.h"

/* "": the database knows none. */
int store_directory_marker(struct store *store, const char *name, char marker[TAILSLATE_UUID_BYTES],
                           struct error *err);

/* Records a marker for a directory that has none, or (again) another one. bring(ctx, marker) makes
 * file and marker equal, inside the transaction: before the row is committed the file is durable.
 * It may write the marker that it is given, or replace it. Where another verifier was first, bring
 * is not called. */
struct store_adoption {
    const char *name;
    bool again;
    int (*bring)(void *ctx, char marker[TAILSLATE_UUID_BYTES], struct error *err);
    void *ctx;
    bool adopted;                      /* out: bring was called */
    int64_t jobs;                      /* out: how many jobs there are, where it was */
    char marker[TAILSLATE_UUID_BYTES]; /* out */
};
int store_directory_adopt(struct store *store, struct store_adoption *adoption, struct error *err);

#endif
