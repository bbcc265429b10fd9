/* forge: what else a network, a disk or a confused worker makes of a completion. */
#ifndef LAB_FORGE_H
#define LAB_FORGE_H

#include "peer_wire.h"

#include <stdbool.h>

enum { FORGE_TOKEN_BYTES = 128 };

/* The same completion of the same claim under another token; false: it has none. Owned. */
bool forge_second_token(const struct wire_bytes *completion, struct wire_bytes *forged);
/* By the same worker and claim: the job has failed. Owned. */
void forge_failure(const struct wire_bytes *completion, struct wire_bytes *forged);
/* Removes a segment of the rendition that every transcoder of ours makes. False: none is there. */
bool forge_lost_file(const char *directory, const char *slug);

#endif
