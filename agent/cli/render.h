/* render: a node's status on one screen: what it does, what is waiting, and why.
 *
 * Lines are truncated at `columns` characters, so that they fit an 80-column terminal; what is
 * waited for is wrapped instead. SIZE_MAX truncates nothing. Prints what view has collected and
 * reads nothing itself. */
#ifndef AGENT_RENDER_H
#define AGENT_RENDER_H

#include "agent/cli/view.h"

void render_status(FILE *out, const struct view *view, size_t columns);
/* A record's or the node's `waiting`, if it has one, in lines that begin with `label` and then with
 * as many spaces. */
void render_waiting(FILE *out, const struct json *waiting, const char *label, size_t columns);
void render_count(FILE *out, const struct view *view); /* "3 in the spool, ..." */

#endif
