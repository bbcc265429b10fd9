/* render: a node's status on one screen: what it does, what is waiting, and why.
 *
 * No line is longer than `columns` (base/text.h; 0: no limit): what does not fit goes on below.
 * Prints what view has collected and reads nothing itself. */
#ifndef AGENT_RENDER_H
#define AGENT_RENDER_H

#include "agent/cli/view.h"

#include <stdio.h>

void render_status(FILE *out, const struct view *view, int columns);
void render_spool(FILE *out, const struct view *view, int columns);

/* A record's or the node's `waiting` as a sentence, owned; NULL: it does not wait. */
char *render_waiting(const struct json *waiting);
void render_node_waiting(FILE *out, const struct view *view, const char *label, int columns);
void render_count(FILE *out, const struct view *view, int columns); /* "3 in the spool, ..." */

#endif
