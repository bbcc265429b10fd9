/* store_schema: the tables, made and checked. Names and columns are a stock server's where it has
 * them; ours stand beside (completions, job_epochs, failures, held_jobs, job_holders, fleet,
 * sweeps, schema_version). In a stock server's own database (STORE_SCHEMA_VLOG) only ours are made;
 * its are looked at, and refused by name where one is missing or of another kind. Refuses to alter,
 * drop or rename anything. */
#ifndef VERIFIER_STORE_SCHEMA_H
#define VERIFIER_STORE_SCHEMA_H

#include "verifier/db/db.h"
#include "verifier/store/store.h"

#include <stdio.h>

enum { STORE_SCHEMA_VERSION = 5 };

int store_schema_prepare(struct db *db, enum store_schema schema, struct error *err);

/* store_schema_vlog.c: are these a stock server's tables, and are they as we know them? */
int store_schema_is_stock(struct db *db, bool *is_stock, struct error *err);
int store_schema_check_stock(struct db *db, struct error *err);
/* All statements that make its columns as they should be, one a line. */
int store_schema_print_remedies(struct db *db, FILE *out, struct error *err);

#endif
