/* store_gate: the gate that the completions of this run pass.
 *
 * Which one says TAILSLATE_TEST_GATE: redis, a real one, in which each test has a prefix of its
 * own; failing, where somebody accepts and never answers; none without it. */
#ifndef STORE_GATE_H
#define STORE_GATE_H

#include "verifier/gate/gate.h"

struct store_gate {
    struct gate *gate; /* NULL: none */
    int listener;      /* who never answers */
};

void store_gate_open(struct store_gate *gate);
void store_gate_close(struct store_gate *gate);

#endif
