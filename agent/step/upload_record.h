/* upload_record: the list of one rendition's files and of which ones the server has. */
#ifndef AGENT_UPLOAD_RECORD_H
#define AGENT_UPLOAD_RECORD_H

#include "agent/step/upload.h"

/* The file's entry, added if necessary; NULL: more than UPLOAD_FILES_MAX. */
struct upload_file *upload_file_get(struct upload_rendition *rendition, const char *name);
/* NULL: unknown. */
struct upload_file *upload_file_find(const struct upload_rendition *rendition, const char *name);
void upload_file_done(struct upload_rendition *rendition, struct upload_file *file,
                      const char hex[HASH_HEX_BYTES]);
void upload_file_undone(struct upload_rendition *rendition, struct upload_file *file);
bool upload_file_has(const struct upload_file *file, const char hex[HASH_HEX_BYTES]);

int upload_record_read(int dir, struct upload_rendition *rendition, struct error *err);
int upload_record_write(int dir, struct upload_rendition *rendition, struct error *err);
int upload_record_forget(int dir, struct upload_rendition *rendition, struct error *err);
void upload_record_fini(struct upload_rendition *rendition);

/* Does the wire accept this name as a media segment or an initialization segment? */
bool upload_is_segment_name(const char *name);

#endif
