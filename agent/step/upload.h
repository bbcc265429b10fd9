/* upload: brings the renditions to the server, while they are being made and afterwards.
 *
 * What was uploaded stands in `uploads-<quality>.sha256` of the record, in the form of sha256sum.
 * A file is skipped only where this record has it with the SHA-256 that it has now, and the server
 * lists it. While the transcoder runs a file is sent when it is closed or renamed into place, one
 * at a time, and nothing waits for it; afterwards upload_finish goes through each rendition: what
 * is missing or has changed, then the playlist, then the server's own count. Losing the record
 * costs bytes, never truth. Refuses names that the wire refuses. */
#ifndef AGENT_UPLOAD_H
#define AGENT_UPLOAD_H

#include "agent/api/session.h"
#include "lib/hash.h"

#include "tailslate/quality.h"

enum {
    UPLOAD_SHA_BYTES = 32,
    UPLOAD_WRITE_MS = 5 * 1000,       /* the record is at most so much behind */
    UPLOAD_DEADLINE_MS = 3600 * 1000, /* of one file */
    UPLOAD_STALL_MS = 60 * 1000,
    UPLOAD_RECORD_MAX_BYTES = 16 * 1024 * 1024,
    UPLOAD_FILES_MAX = 100 * 1000,
};

struct upload_file {
    char *name;
    unsigned char sha[UPLOAD_SHA_BYTES]; /* of what was uploaded */
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
    int output;  /* the directory of the renditions */
    int inotify; /* -1 until upload_watch */
    int root_watch;
    struct upload_rendition renditions[TAILSLATE_QUALITY_COUNT];

    struct http_call *call; /* the file that is under way */
    struct upload_rendition *rendition;
    size_t index;
    char sha[HASH_HEX_BYTES];
    int fd;
    struct reply reply;
};

/* Reads the records of a former life. */
int upload_open(struct upload *upload, struct session *session, struct error *err);
void upload_close(struct upload *upload); /* writes what the records lack, best effort */

/* While the transcoder runs: watch output/ (now, before it starts), take the events in, go on. */
int upload_watch(struct upload *upload, struct error *err);
void upload_collect(struct upload *upload);
void upload_tick(struct upload *upload);

/* Afterwards: until the server has the rendition whole. -1: the claim is lost (code ECANCELED), or
 * a file of ours is gone (code ENOENT), or this disk fails. */
int upload_finish(struct upload *upload, enum tailslate_quality quality, struct error *err);

/* What the record says about this rendition is not to be believed. */
int upload_forget(struct upload *upload, enum tailslate_quality quality, struct error *err);

/* The manifests and the thumbnail, those that are there, as one tar.gz. */
int upload_finalize(struct upload *upload, struct error *err);

#endif
