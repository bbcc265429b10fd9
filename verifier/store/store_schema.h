/* store_schema: the tables, made and checked. Names and columns are a stock server's where it has
 * them; the verifier's own are beside them (completions, job_epochs, failures, held_jobs,
 * job_holders, job_queue, fleet, sweeps, directories, webhook_events, schema_version). In a stock
 * server's own database (STORE_SCHEMA_VLOG) only the verifier's are created; the stock server's are
 * checked, and a column that is missing or has another type is refused by name. Refuses to alter,
 * drop or rename anything. */
#ifndef VERIFIER_STORE_SCHEMA_H
#define VERIFIER_STORE_SCHEMA_H

#include "verifier/db/db.h"
#include "verifier/store/store.h"

enum { STORE_SCHEMA_VERSION = 10 };

int store_schema_prepare(struct db *db, enum store_schema schema, struct error *err);
/* For reading: the tables have to be there, of this version. Nothing is made or migrated. */
int store_schema_check(struct db *db, struct error *err);

#endif
