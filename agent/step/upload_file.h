/* upload_file: the upload of one file; shared by both parts of upload (during, afterwards). */
#ifndef AGENT_UPLOAD_FILE_H
#define AGENT_UPLOAD_FILE_H

#include "agent/step/upload.h"

int upload_open_file(const struct upload *upload, enum tailslate_quality quality, const char *name,
                     struct error *err);

/* Opens and hashes it (upload->sha) and starts the request. -1: the file is invalid. */
int upload_send_file(struct upload *upload, enum tailslate_quality quality, const char *name,
                     struct error *err);

/* Handles the reply: what it means, and when the next attempt is due. */
enum verdict upload_settle_call(struct upload *upload);
void upload_drop_call(struct upload *upload);

/* Uploads one file, until it is on the server. */
int upload_file_until_ok(struct upload *upload, enum tailslate_quality quality, const char *name,
                         struct error *err);

/* Its playlist under the name that a stock worker uses, beside its directory (upload_alias.c). */
int upload_alias(struct upload *upload, enum tailslate_quality quality, struct error *err);
char *upload_alias_text(const char *playlist, const char *home); /* owned */

/* Writes changed lists; all: without waiting for UPLOAD_WRITE_MS. */
void upload_write_records(struct upload *upload, bool all);

void upload_report(struct upload *upload, const struct upload_rendition *rendition,
                   enum quality_status status, int64_t percent);

#endif
