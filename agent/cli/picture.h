/* picture: a node on one screen, for people: what it does, what waits and why.
 *
 * Made of lines that are cut at `columns` characters, never wrapped, so that a terminal of 80 shows
 * it as it is; SIZE_MAX cuts nothing. Prints what view has collected and looks at nothing itself.
 */
#ifndef AGENT_PICTURE_H
#define AGENT_PICTURE_H

#include "agent/cli/view.h"

void picture_print(FILE *out, const struct view *view, size_t columns);
void picture_print_count(FILE *out, const struct view *view); /* "3 in the spool, ..." */

#endif
