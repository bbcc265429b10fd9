#include "lib/hash.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DIGEST_BYTES = 32, READ_BYTES = 32 * 1024 };

struct hash {
    EVP_MD_CTX *context;
};

struct hash *hash_new(void)
{
    struct hash *hash = must_malloc(sizeof *hash);
    hash->context = EVP_MD_CTX_new();
    must(hash->context);
    must(EVP_DigestInit_ex(hash->context, EVP_sha256(), NULL) == 1);
    return hash;
}

void hash_update(struct hash *hash, const void *data, size_t size)
{
    must(EVP_DigestUpdate(hash->context, data, size) == 1);
}

static void print_hex(const unsigned char digest[DIGEST_BYTES], char hex[HASH_HEX_BYTES])
{
    static const char digit[] = "0123456789abcdef";
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        hex[2 * i] = digit[digest[i] >> 4];
        hex[2 * i + 1] = digit[digest[i] & 15];
    }
    hex[HASH_HEX_BYTES - 1] = '\0';
}

void hash_hex(struct hash *hash, char hex[HASH_HEX_BYTES])
{
    unsigned char digest[DIGEST_BYTES];
    must(EVP_DigestFinal_ex(hash->context, digest, NULL) == 1);
    print_hex(digest, hex);
}

void hash_free(struct hash *hash)
{
    if (!hash)
        return;
    EVP_MD_CTX_free(hash->context);
    free(hash);
}

void hash_bytes(const void *data, size_t size, char hex[HASH_HEX_BYTES])
{
    struct hash *hash = hash_new();
    hash_update(hash, data, size);
    hash_hex(hash, hex);
    hash_free(hash);
}

void hash_hmac(const void *key, size_t key_size, const void *data, size_t size,
               char hex[HASH_HEX_BYTES])
{
    unsigned char digest[DIGEST_BYTES];
    must(HMAC(EVP_sha256(), key, (int)key_size, data, size, digest, NULL));
    print_hex(digest, hex);
}

static int update_from_file(struct hash *hash, int fd, int64_t *size, struct error *err)
{
    unsigned char *buffer = must_malloc(READ_BYTES);
    int64_t at = 0;
    ssize_t got;
    while ((got = pread(fd, buffer, READ_BYTES, at)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            break;
        hash_update(hash, buffer, (size_t)got);
        at += got;
    }
    free(buffer);
    if (got < 0)
        return error_errno(err, "cannot read at %lld", (long long)at);
    *size = at;
    return 0;
}

int hash_file(int fd, char hex[HASH_HEX_BYTES], int64_t *size, struct error *err)
{
    struct hash *hash = hash_new();
    int64_t total = 0;
    int result = update_from_file(hash, fd, &total, err);
    if (result == 0) {
        hash_hex(hash, hex);
        if (size)
            *size = total;
    }
    hash_free(hash);
    return result;
}

bool hash_equal(const char *left, const char *right)
{
    size_t left_size = strlen(left), right_size = strlen(right);
    unsigned difference = left_size != right_size;
    for (size_t i = 0; i < left_size; i++) {
        /* Continues past the end of a shorter right side by comparing its NUL again. */
        size_t at = i < right_size ? i : right_size;
        difference |= (unsigned)((unsigned char)left[i] ^ (unsigned char)right[at]);
    }
    return difference == 0;
}
