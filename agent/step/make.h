/* make: from a claim to an outcome on disk: fetch, probe, transcode (uploading as it goes), check.
 *
 * Starts from scratch whatever a former life left of the output: only the source and the record of
 * uploads are taken over. When it returns 0, outcome.json is durable and so is every byte that it
 * speaks of, and the source is gone. */
#ifndef AGENT_MAKE_H
#define AGENT_MAKE_H

#include "agent/api/session.h"

/* -1: err->code ECANCELED: the claim is lost. Otherwise the job has failed: err->message is the
 * reason for people, err->class says whether another try may help (TEMPORARY). */
int make_outcome(struct session *session, struct error *err);

#endif
