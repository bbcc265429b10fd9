/* slug: the directory and URL name of a video. Pure. */
#ifndef VERIFIER_SLUG_H
#define VERIFIER_SLUG_H

#include "base/message.h"

#include <stdbool.h>

enum { SLUG_MAX_LENGTH = 120 }; /* a number may be appended */

/* Lower-case ASCII letters, digits and single dashes from any name; "video" if nothing is left.
 * The accents of Latin letters are dropped (ü -> u); Cyrillic and Greek are spelled in Latin
 * letters; of other scripts nothing is left. */
void slug_from_name(const char *name, char slug[SLUG_BYTES]);

/* May it name a directory? A single component of letters, digits, dash, underscore and dot, not
 * starting with a dot or a dash. (A stock server's slugs all fit.) */
bool slug_is_valid(const char *slug);

#endif
