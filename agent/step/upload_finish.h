/* upload_finish: completes the upload of a rendition after the transcode: what is missing or has
 * changed, then the playlist, then the server's own count. */
#ifndef AGENT_UPLOAD_FINISH_H
#define AGENT_UPLOAD_FINISH_H

#include "agent/step/upload.h"

/* Until the server has the whole rendition. -1: the claim is lost (code ECANCELED), a
 * file of ours is missing (code ENOENT), or this disk fails. */
int upload_finish(struct upload *upload, enum tailslate_quality quality, struct error *err);

#endif
