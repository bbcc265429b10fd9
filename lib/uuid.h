/* uuid: random identifiers and random numbers from the kernel. The only module that uses libuuid.
 */
#ifndef TAILSLATE_UUID_H
#define TAILSLATE_UUID_H

#include "tailslate/token.h"

#include <stdint.h>

void uuid_make_v4(char text[TAILSLATE_UUID_BYTES]);
void random_bytes(void *out, size_t size); /* getrandom(2); aborts if it fails */
uint64_t random_u64(void);

#endif
