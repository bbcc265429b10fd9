/* hash: SHA-256 and its HMAC by libcrypto (1.9 GB/s here; plain C 0.3), and constant-time
 * comparison. */
#ifndef TAILSLATE_HASH_H
#define TAILSLATE_HASH_H

#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HASH_HEX_BYTES = 65 };

struct hash; /* a running SHA-256 */
struct hash *hash_new(void);
void hash_update(struct hash *hash, const void *data, size_t size);
void hash_hex(struct hash *hash, char hex[HASH_HEX_BYTES]); /* ends it; lower case */
void hash_free(struct hash *hash);                          /* may be NULL */

void hash_bytes(const void *data, size_t size, char hex[HASH_HEX_BYTES]);

/* HMAC-SHA256 (RFC 2104); lower case. */
void hash_hmac(const void *key, size_t key_size, const void *data, size_t size,
               char hex[HASH_HEX_BYTES]);

/* From offset 0 to the end; keeps the descriptor's offset (pread). size may be NULL. */
int hash_file(int fd, char hex[HASH_HEX_BYTES], int64_t *size, struct error *err);

/* Constant time in the length of the first. */
bool hash_equal(const char *left, const char *right);

#endif
