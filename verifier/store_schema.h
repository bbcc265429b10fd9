/* store_schema: the tables, made and checked. Names and columns are a stock server's where it has
 * them; ours stand beside (completions, job_epochs, failures, held_jobs, fleet, sweeps,
 * schema_version). */
#ifndef VERIFIER_STORE_SCHEMA_H
#define VERIFIER_STORE_SCHEMA_H

#include "db.h"

enum { STORE_SCHEMA_VERSION = 2 };

int store_schema_prepare(struct db *db, struct error *err);

#endif
