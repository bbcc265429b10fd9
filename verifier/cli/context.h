/* context: what every command opens: the directories and the store. */
#ifndef VERIFIER_CONTEXT_H
#define VERIFIER_CONTEXT_H

#include "verifier/base/config.h"
#include "verifier/files/files.h"
#include "verifier/store/store.h"

struct context {
    const struct verifier_config *config;
    struct files files;
    struct store *store;
};

/* files_open and store_open together; the store looks at these files. may_come_later: a database
 * that cannot be reached yet is waited for while requests get a 503; an exit would let the
 * supervisor give up on us during an outage that ends by itself. */
int context_open(const struct verifier_config *config, bool may_come_later, struct context *context,
                 struct error *err);
void context_close(struct context *context);
/* See store_print_remedies. */
void context_print_remedies(const struct verifier_config *config, FILE *out);

#endif
