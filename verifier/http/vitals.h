/* vitals: the process itself, in Prometheus' text form: memory, descriptors, threads, time. */
#ifndef VERIFIER_VITALS_H
#define VERIFIER_VITALS_H

#include <stdio.h>

void vitals_print(FILE *out); /* what cannot be read is left out */

#endif
