/* upload: uploads the renditions to the server, during the transcode and after it.
 *
 * Uploaded files are listed in `uploads-<quality>.sha256` of the record, in sha256sum's format. A
 * file is skipped only if this list has it with its current SHA-256 and the server lists it. During
 * the transcode a file is sent when it is closed or renamed into place, one at a time, and nothing
 * waits for it; what follows is upload_finish.h. Losing the list costs bandwidth, never
 * correctness. Refuses names that the wire refuses. */
#ifndef AGENT_UPLOAD_H
#define AGENT_UPLOAD_H

#include "agent/api/session.h"
#include "lib/hash.h"

#include "tailslate/quality.h"

enum {
    UPLOAD_SHA_BYTES = 32,
    UPLOAD_WRITE_MS = 5 * 1000,       /* the list is at most this far behind */
    UPLOAD_DEADLINE_MS = 3600 * 1000, /* of one file */
    UPLOAD_STALL_MS = 60 * 1000,
    UPLOAD_RECORD_MAX_BYTES = 16 * 1024 * 1024,
    UPLOAD_FILES_MAX = 100 * 1000,
};

struct upload_file {
    char *name;
    unsigned char sha[UPLOAD_SHA_BYTES]; /* when it was uploaded */
    bool uploaded;
};

struct upload_rendition {
    enum tailslate_quality quality;
    int watch; /* inotify; -1 = none */
    struct upload_file *files;
    size_t count, next, uploaded;
    bool changed;
    int64_t written_ms;
};

struct upload {
    struct session *session;
    int output;  /* the directory with one directory per rendition */
    int inotify; /* -1 until upload_watch */
    int root_watch;
    struct upload_rendition renditions[TAILSLATE_QUALITY_COUNT];

    struct http_call *call; /* the file being uploaded */
    struct upload_rendition *rendition;
    size_t index;
    char sha[HASH_HEX_BYTES];
    int fd;
    struct reply reply;
};

/* Reads the lists of an earlier run. */
int upload_open(struct upload *upload, struct session *session, struct error *err);
void upload_close(struct upload *upload); /* writes changed lists, best effort */

/* During the transcode: watch output/ (before the transcoder starts), handle events, continue. */
int upload_watch(struct upload *upload, struct error *err);
void upload_collect(struct upload *upload);
void upload_tick(struct upload *upload);

/* The list of this rendition cannot be trusted. */
int upload_forget(struct upload *upload, enum tailslate_quality quality, struct error *err);

/* ---- one file; for the parts of upload ------------------------------------------------------- */

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

/* Writes changed lists; all: without waiting for UPLOAD_WRITE_MS. */
void upload_write_records(struct upload *upload, bool all);

void upload_report(struct upload *upload, const struct upload_rendition *rendition,
                   enum quality_status status, int64_t percent);

#endif
