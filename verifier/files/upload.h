/* upload: one file or one archive on its way to its place.
 *
 * A segment is written to a temp file in its directory and renamed; an archive is spooled to a file
 * without a name, unpacked into a directory of its own under videos_dir/.staging, checked,
 * and moved in by renames. Until then nothing of it is visible; the move happens inside the store's
 * transaction (store_upload), so that a superseded worker's files never appear. */
#ifndef VERIFIER_UPLOAD_H
#define VERIFIER_UPLOAD_H

#include "lib/durable.h"
#include "lib/hash.h"
#include "verifier/base/segment.h"
#include "verifier/files/files.h"

struct segment_upload {
    int dir, fd;
    char temp[DURABLE_TEMP_BYTES]; /* "": published, or never begun */
    char filename[SEGMENT_NAME_MAX + 1];
    enum segment_kind kind;
};
/* fd is then open for writing. */
int segment_upload_begin(const struct files *files, const char *slug,
                         enum tailslate_quality quality, const char *filename,
                         struct segment_upload *upload, struct error *err);
/* Do the bytes fit the name? */
bool segment_upload_fits(const struct segment_upload *upload, int64_t size);
/* Is a file with this name and this content there already? */
bool segment_upload_is_there(const struct segment_upload *upload, const char *sha256, int64_t size);
/* The file exists, but the process that renamed it may have died before the rename was durable. */
int segment_upload_confirm(const struct segment_upload *upload, struct error *err);
int segment_upload_sync(struct segment_upload *upload,
                        struct error *err); /* call before the job is locked */
int segment_upload_publish(struct segment_upload *upload, struct error *err);
void segment_upload_end(struct segment_upload *upload); /* removes what was not published */

struct tar_upload {
    const struct files *files;
    char slug[SLUG_BYTES];
    bool is_final; /* the common files (segment.h); otherwise one rendition: */
    enum tailslate_quality quality;
    int fd;                           /* the archive */
    int staging_root, staging, inner; /* descriptors; inner: <staging>/<quality>, or -1 */
    int video;                        /* borrowed, while it is published */
    char staging_name[TAILSLATE_UUID_BYTES];
    int64_t count; /* of files */
};
int tar_upload_begin(const struct files *files, const char *slug, struct tar_upload *upload,
                     struct error *err);
/* Unpacks and checks. EINVAL or EFBIG in err->code: the archive's fault. */
int tar_upload_unpack(struct tar_upload *upload, struct error *err);
/* Move it in. What it replaces goes to the trash. */
int tar_upload_publish(struct tar_upload *upload, struct error *err);
void tar_upload_end(struct tar_upload *upload);

#endif
