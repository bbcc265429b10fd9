/* tty_escape: makes text safe for a terminal.
 *
 * Text from a server, a video or a transcoder must not move the cursor, change colors or break the
 * line. Each control byte (including DEL and the C1 controls, which a terminal obeys in UTF-8) and
 * each byte of invalid UTF-8 becomes a space. Pure, except for the stream that it writes to. */
#ifndef AGENT_TTY_ESCAPE_H
#define AGENT_TTY_ESCAPE_H

#include <stddef.h>
#include <stdio.h>

/* At most `columns` characters (SIZE_MAX: all); a newline also becomes a space. Returns how many
 * were written. */
size_t tty_escape_print(FILE *out, const char *text, size_t columns);
void tty_escape_print_lines(FILE *out, const char *text); /* newlines are kept */

#endif
