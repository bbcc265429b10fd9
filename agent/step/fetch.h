/* fetch: downloads the source from the server to `source` in the record, completely or not at all.
 *
 * Appends to `source.part` and resumes where it stopped, in this run or the next: `source.json`
 * holds the ETag and size that the part belongs to. If the server has no ranges, or the source has
 * changed, it starts over. If the source and its output do not fit on this disk, it waits
 * (disk.h) before downloading more than the first bytes. There is no attempt limit; only our
 * own server's verdicts end it. */
#ifndef AGENT_FETCH_H
#define AGENT_FETCH_H

#include "lib/error.h"

#define FETCH_SOURCE "source"

/* 0: `source` exists (possibly from an earlier run). -1: err PERMANENT "the source is empty", or
 * TEMPORARY (no disk space; the server has no source file; the claim is lost: code ECANCELED). */
struct session;
int fetch_source(struct session *session, struct error *err);

/* Removes source and part, which are no longer needed. */
int fetch_forget(int dir, struct error *err);

#endif
