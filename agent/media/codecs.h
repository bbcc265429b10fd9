/* codecs: the CODECS string (RFC 6381) of a rendition, read from its init.mp4. Pure.
 *
 * A player decides by this string whether it can play a rendition at all, so it is read from the
 * decoder configuration itself and not from what the encoder was asked for. Every length of a box
 * is checked; unknown codecs are left out, never guessed. */
#ifndef AGENT_CODECS_H
#define AGENT_CODECS_H

#include "base/message.h"

#include <stddef.h>

enum { CODECS_BYTES = 96, CODECS_INIT_MAX_BYTES = 1024 * 1024 };

struct codecs {
    char text[CODECS_BYTES]; /* "avc1.64001f,mp4a.40.2"; "" if there is no known video codec */
    enum tailslate_codec video;
};

/* How many top-level boxes of this type a file has: the fragments ("moof") of a video. */
size_t codecs_count_boxes(const unsigned char *file, size_t size, const char *type);

void codecs_read(const unsigned char *init, size_t size, struct codecs *codecs);

#endif
