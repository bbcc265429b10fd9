/* traffic: requests by route, in Prometheus' text form: how many, answered how, and how long each
 * took. Safe from any thread. */
#ifndef VERIFIER_TRAFFIC_H
#define VERIFIER_TRAFFIC_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { TRAFFIC_ROUTES_MAX = 32 };

void traffic_register(const char *const names[], size_t count); /* once, before threads start */
void traffic_note(size_t route, int status, int64_t took_ms);
void traffic_print(FILE *out);

#endif
