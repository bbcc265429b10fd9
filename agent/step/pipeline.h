/* pipeline: from a claim to an outcome on disk: fetch, probe, transcode (uploading meanwhile),
 * check.
 *
 * Starts from scratch whatever an earlier run left in the output: only the source and the upload
 * records are reused. When it returns 0, outcome.json and every byte that it describes are durable,
 * and the source is deleted. */
#ifndef AGENT_PIPELINE_H
#define AGENT_PIPELINE_H

#include "agent/api/session.h"

/* -1: err->code ECANCELED: the claim is lost. Otherwise the job has failed: err->message is the
 * reason for people, err->class says whether another attempt may help (TEMPORARY). */
int pipeline_run(struct session *session, struct error *err);

#endif
