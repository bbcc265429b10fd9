/* remote_rendition: what is known about a rendition that the server has from an earlier job.
 *
 * The claim only gives names, and no request returns a playlist or a codec. The server is asked
 * once which segments it has received for a quality: how many, and how many bytes. So its real
 * average rate is known, whether it is CMAF at all, and whether it has as many segments as the new
 * renditions (then it is cut at the same times: same video, same rule). Its size is what the ladder
 * would give it. If the server does not answer, the ladder's own figures are used. The codec is
 * never guessed. */
#ifndef AGENT_REMOTE_RENDITION_H
#define AGENT_REMOTE_RENDITION_H

#include "agent/api/session.h"

#include "tailslate/quality.h"

struct remote_rendition {
    bool is_known; /* the server has answered */
    bool is_cmaf;  /* <quality>/init.mp4 and segments; otherwise <quality>.m3u8 beside it */
    size_t segments;
    int64_t bytes;
};

void remote_rendition_ask(struct session *session, enum tailslate_quality quality,
                          struct remote_rendition *existing);
/* The answer of segments/status. */
void remote_rendition_parse(const char *body, size_t size, struct remote_rendition *existing);

#endif
