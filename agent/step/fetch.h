/* fetch: the source, from the server to `source` in the record, whole or not at all.
 *
 * Grows `source.part` and goes on where it stopped, in this life or the next: `source.json` holds
 * the ETag and the size that the part belongs to. A server without ranges, or a source that has
 * changed, starts it over. What does not fit on this disk, together with what will be made of it,
 * is waited for (space.h) before more than its first bytes have come. There is no attempt limit;
 * only our server's own verdicts end it. */
#ifndef AGENT_FETCH_H
#define AGENT_FETCH_H

#include "lib/error.h"

#define FETCH_SOURCE "source"

/* 0: `source` is there (it may have been before). -1: err PERMANENT "the source is empty", or
 * TEMPORARY (no space; the server has no source file; the claim is lost: code ECANCELED). */
struct session;
int fetch_source(struct session *session, struct error *err);

/* Source and part are no longer needed. */
int fetch_forget(int dir, struct error *err);

#endif
