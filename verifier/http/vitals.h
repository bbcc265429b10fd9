/* vitals: the process itself, in Prometheus' text form: memory, descriptors, threads, time. */
#ifndef VERIFIER_VITALS_H
#define VERIFIER_VITALS_H

char *vitals_print(void); /* owned; what cannot be read is left out */

#endif
