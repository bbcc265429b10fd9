/* key_file: where `worker add` and `worker rotate` put a key: into a file, or on stdout. */
#ifndef VERIFIER_KEY_FILE_H
#define VERIFIER_KEY_FILE_H

#include "lib/error.h"

#include <stdint.h>

/* Before a key is made that would then be lost. What is there may be the key of another worker, so
 * only an empty file (mktemp) is replaced. */
int key_file_probe(const char *path, struct error *err);
/* Whole and durable, mode 0600. */
int key_file_write(const char *path, const char *key, struct error *err);
/* The worker's number to stdout, and the key where it went into no file (path NULL). */
void key_file_say(int64_t id, const char *key, const char *path);

#endif
