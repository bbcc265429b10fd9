/* explain: an answer of the server as a sentence for people, and what they can do about it.
 *
 * One table, so that the log, `status`, `spool ls` and /readyz say the same. Pure. */
#ifndef AGENT_EXPLAIN_H
#define AGENT_EXPLAIN_H

#include "agent/api/http_message.h"

enum { EXPLAIN_BYTES = 256 };

/* "the server has no space left: HTTP 507". Not for an answer that was accepted. */
void explain_answer(const struct http_answer *answer, char text[EXPLAIN_BYTES]);

/* What a person can do; NULL: nothing has to be done. With static lifetime. */
const char *explain_hint(const struct http_answer *answer);

#endif
