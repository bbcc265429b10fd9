/* segment: which file names an upload may have, and how a file of each kind begins. Pure.
 *
 * Where a file is stored: `<quality>_NNNN.ts` and `<quality>.m3u8` beside the master playlist,
 * everything else in the directory of its quality. */
#ifndef VERIFIER_SEGMENT_H
#define VERIFIER_SEGMENT_H

#include "tailslate/quality.h"

#include <stdbool.h>
#include <stddef.h>

enum { SEGMENT_NAME_MAX = 255, SEGMENT_HEAD_BYTES = 16 };

enum segment_kind {
    SEGMENT_REFUSED, /* not an accepted name */
    SEGMENT_TS,
    SEGMENT_ISO,      /* .m4s .mp4 */
    SEGMENT_TEXT,     /* .m3u8 .mpd */
    SEGMENT_CAPTIONS, /* captions.vtt */
};
#define SEGMENT_CAPTIONS_NAME "captions.vtt"

/* A single path component with one of the five endings, or the captions. */
enum segment_kind segment_kind_of(const char *filename);

/* True: a file of this kind may begin so. head: its first bytes, at most SEGMENT_HEAD_BYTES.
 * SEGMENT_TEXT: not judged by its head, see segment_is_text. */
bool segment_head_fits(enum segment_kind kind, const unsigned char *head, size_t size);

/* Valid UTF-8 without control bytes other than line ends and tabs. */
bool segment_is_text(const char *data, size_t size);

/* True: initialization or media segment (segment_count counts these), not a playlist. */
bool segment_is_media(enum segment_kind kind);

/* True: it is stored beside the master playlist. */
bool segment_is_flat(enum tailslate_quality quality, const char *filename);

/* In a video's directory: true for a rendition's directory, or a file of one that is stored flat.
 */
bool segment_quality_of(const char *name, enum tailslate_quality *quality);
/* True: it belongs to no single rendition: master playlist, manifest, thumbnail, captions. */
bool segment_is_of_all(const char *name);

#endif
