/* upload_archive: what is sent as an archive: the manifests, and playlists under a second name.
 *
 * A stock worker's master playlists use other names for a rendition: original.m3u8 and, for HLS
 * with transport streams, 720p.m3u8. When such a worker makes one rendition of our video again, it
 * writes the master playlist for all of them, so ours must be playable under that name, too. */
#ifndef AGENT_UPLOAD_ARCHIVE_H
#define AGENT_UPLOAD_ARCHIVE_H

#include "agent/step/upload.h"

/* A rendition's playlist under the name that a stock worker uses, beside its directory. */
int upload_alias(struct upload *upload, enum tailslate_quality quality, struct error *err);
char *upload_alias_text(const char *playlist, const char *home); /* owned */

/* The manifests and the thumbnail, if they exist, as one tar.gz. */
int upload_finalize(struct upload *upload, struct error *err);

#endif
