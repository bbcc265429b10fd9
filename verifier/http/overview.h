/* overview: one JSON document about the whole fleet, for the page.
 *
 * Built on demand, at most once in OVERVIEW_FRESH_MS per process, however many pages are open.
 * Its version (etag) covers all but the times that change without an event; these are brought up to
 * date every OVERVIEW_RENEW_S. Thread-safe. */
#ifndef VERIFIER_OVERVIEW_H
#define VERIFIER_OVERVIEW_H

#include "verifier/http/request.h"

enum {
    OVERVIEW_FRESH_MS = 1000,
    OVERVIEW_RENEW_S = 30,
    OVERVIEW_TAKE_MS = 6000, /* the longest wait for a build that another thread does */
    OVERVIEW_WAITS_MAX = 32, /* long polls at once */
    OVERVIEW_ETAG_BYTES = 17,
};

struct overview;
struct overview *overview_new(struct app *app); /* borrowed */
void overview_free(struct overview *overview);

/* *text: the document, owned; NULL: its version is still `known`. known NULL: no version. */
int overview_take(struct overview *overview, const char *known, char **text,
                  char etag[OVERVIEW_ETAG_BYTES], struct error *err);

/* True: the caller may wait for a change, and calls overview_end_wait afterwards. */
bool overview_begin_wait(struct overview *overview);
void overview_end_wait(struct overview *overview);

#endif
