/* store_schema_vlog: a stock vlog server's tables. They are read and never altered. */
#ifndef VERIFIER_STORE_SCHEMA_VLOG_H
#define VERIFIER_STORE_SCHEMA_VLOG_H

#include "verifier/db/db.h"

#include <stdio.h>

/* Are these a stock server's tables, and are they as we know them? */
int store_schema_is_stock(struct db *db, bool *is_stock, struct error *err);
int store_schema_check_stock(struct db *db, struct error *err);
/* All statements that make its columns as they should be, one a line. */
int store_schema_print_remedies(struct db *db, FILE *out, struct error *err);

#endif
