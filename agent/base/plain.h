/* plain: text that may go to a terminal.
 *
 * What a server, a film or a transcoder said must not move the cursor, colour or break the line:
 * control bytes (DEL and the C1 controls too, which a terminal obeys in UTF-8) and what is no UTF-8
 * become a blank, each. Pure but for the stream that it writes to. */
#ifndef AGENT_PLAIN_H
#define AGENT_PLAIN_H

#include <stddef.h>
#include <stdio.h>

/* At most `columns` characters (SIZE_MAX: all); a line break is a blank too. Returns how many were
 * written. */
size_t plain_print(FILE *out, const char *text, size_t columns);
void plain_print_lines(FILE *out, const char *text); /* line breaks stay */

#endif
