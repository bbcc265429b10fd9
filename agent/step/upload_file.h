/* upload_file: one file on its way; shared by the two halves of upload (during, afterwards). */
#ifndef AGENT_UPLOAD_FILE_H
#define AGENT_UPLOAD_FILE_H

#include "agent/step/upload.h"

int upload_open_file(const struct upload *upload, enum tailslate_quality quality, const char *name,
                     struct error *err);

/* Opens, hashes (upload->sha) and starts. -1: the file is not as it should be. */
int upload_send_file(struct upload *upload, enum tailslate_quality quality, const char *name,
                     struct error *err);

/* After the reply: what it meant, and when the next attempt may be. */
enum verdict upload_settle_call(struct upload *upload);
void upload_drop_call(struct upload *upload);

/* One file, until it is there. */
int upload_insist_file(struct upload *upload, enum tailslate_quality quality, const char *name,
                       struct error *err);

/* Its playlist under the name that a stock worker gives it, beside its directory
 * (upload_alias.c). */
int upload_alias(struct upload *upload, enum tailslate_quality quality, struct error *err);
char *upload_alias_text(const char *playlist, const char *home); /* owned */

/* The records that have changed; all: without waiting for UPLOAD_WRITE_MS. */
void upload_write_records(struct upload *upload, bool all);

void upload_report(struct upload *upload, const struct upload_rendition *rendition,
                   enum quality_status status, int64_t percent);

#endif
