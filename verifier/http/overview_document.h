/* overview_document: what the overview says, and its version. */
#ifndef VERIFIER_OVERVIEW_DOCUMENT_H
#define VERIFIER_OVERVIEW_DOCUMENT_H

#include "verifier/http/overview.h"

/* Owned; NULL with *err filled: the store cannot be read. */
char *overview_document(const struct app *app, char etag[OVERVIEW_ETAG_BYTES], struct error *err);

#endif
