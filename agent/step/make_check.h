/* make_check: the check of a job's output, and what is done about what it finds.
 *
 * An `original` of our own that is not fit to be published is taken away with a warning, and the
 * others' playlists get the target duration that they share. A command answers for all that it
 * leaves: of that, nothing is changed or left out. */
#ifndef AGENT_MAKE_CHECK_H
#define AGENT_MAKE_CHECK_H

#include "agent/media/check.h"

#include "tailslate/warnings.h"

struct session;
/* On -1 *check is empty. */
int make_check(struct session *session, int output, const struct probe *source,
               struct ladder *ladder, struct check *check, struct tailslate_warnings *warnings,
               struct error *err);

#endif
