/* existing: what can be known of a rendition that the server has from an earlier job.
 *
 * The claim gives names only, and no call gives a playlist or a codec back. What the server lists
 * as received for a quality is asked once: how many segments and how many bytes. So its real
 * average rate is known, whether it is CMAF at all, and whether it has as many segments as what is
 * made now (then it is cut at the same times: same film, same rule). Size is what the ladder would
 * give it. Where the server does not answer, the ladder's own figures stand. Guesses no codec. */
#ifndef AGENT_EXISTING_H
#define AGENT_EXISTING_H

#include "agent/api/session.h"

#include "tailslate/quality.h"

struct existing {
    bool is_known; /* the server has answered */
    bool is_cmaf;  /* <quality>/init.mp4 and segments; else <quality>.m3u8 beside it */
    size_t segments;
    int64_t bytes;
};

void existing_ask(struct session *session, enum tailslate_quality quality,
                  struct existing *existing);
/* The answer of segments/status. */
void existing_parse(const char *body, size_t size, struct existing *existing);

#endif
