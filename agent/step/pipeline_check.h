/* pipeline_check: checks a job's output and acts on the findings.
 *
 * Our own `original` is removed with a warning if it cannot be published, and the playlists get the
 * common target duration. A command is responsible for its output: nothing is changed or left out.
 */
#ifndef AGENT_PIPELINE_CHECK_H
#define AGENT_PIPELINE_CHECK_H

#include "agent/media/check.h"

#include "tailslate/warnings.h"

struct session;
/* On -1 *check is empty. */
int pipeline_check(struct session *session, int output, const struct probe *source,
                   struct ladder *ladder, struct check *check, struct tailslate_warnings *warnings,
                   struct error *err);

#endif
