/* fuzz: one target a file, run in two ways.
 *
 * With clang and -DTAILSLATE_FUZZ=ON each target is a libFuzzer program (libfuzzer_<name>), for a
 * person with time. Everywhere else driver.c runs it in ctest over its seeds in corpus/<name>/ and
 * over a fixed number of mutations from a fixed seed: the same inputs on every machine.
 *
 * A target takes any bytes, aborts (must) where a promise of the parser is broken, and returns 0.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include "lib/error.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
