/* files: the sources and the renditions on disk.
 *
 *   uploads_dir/<video_id>.<ext>       a source (0640, owner and group of the directory)
 *   videos_dir/<slug>/...              what players read (0755 and 0644: a web server is another
 *                                      user)
 *   videos_dir/.trash/<slug>.<uuid>/   what was replaced or orphaned (files_trash.h)
 *   .tailslate-directory in both       which directory it is (files_watch.h)
 *
 * Everything below the two directories is opened with openat2 and RESOLVE_BENEATH |
 * RESOLVE_NO_SYMLINKS: no name and no link leads outside. Nothing is deleted here, only renamed
 * into the trash. What has been published is durable: file and directory are synced before the
 * function returns. */
#ifndef VERIFIER_FILES_H
#define VERIFIER_FILES_H

#include "base/message.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stdint.h>

enum files_root { FILES_UPLOADS, FILES_VIDEOS, FILES_ROOT_COUNT };

struct files_watch;
struct files {
    int uploads, videos;       /* directory descriptors: after files_use (files_watch.h) only */
    struct files_watch *watch; /* owned */
};

/* Both must exist: -1, TEMPORARY, since a share may be mounted later. */
int files_open(const char *uploads_dir, const char *videos_dir, struct files *files,
               struct error *err);
void files_close(struct files *files);

/* What a source may end in. A stock server knows the first six alone. */
/* clang-format off */
#define FILES_EXTENSIONS(X) \
    X("mp4") X("mkv") X("mov") X("avi") X("webm") X("m4v") X("ts") X("mts") X("m2ts") X("mpg") \
    X("mpeg") X("vob") X("flv") X("f4v") X("wmv") X("asf") X("ogv") X("3gp") X("3g2") X("mxf") \
    X("dv") X("wtv") X("gif") X("h264") X("hevc")
/* clang-format on */
#define FILES_EXTENSION_WORD(extension) " ." extension
#define FILES_SOURCE_EXTENSIONS         FILES_EXTENSIONS(FILES_EXTENSION_WORD)

/* One of them, in lower case without the dot; NULL: none. */
const char *files_source_extension(const char *path);

/* The source's descriptor. ENOENT in err->code: it has none, in a directory that is the right one;
 * FILES_AWAY: the directory is away. */
int files_open_source(const struct files *files, int64_t video_id, struct error *err);
void files_source_name(const struct files *files, int64_t video_id, char name[FILENAME_BYTES]);

/* `7.mp4` */
void files_name_source(int64_t video_id, const char *extension, char name[FILENAME_BYTES]);
/* What sources this video has go to the trash. */
int files_discard_source(const struct files *files, int64_t video_id, struct error *err);

/* The directory of a video or of one of its renditions. make: create what is missing. Without make,
 * a directory that is not there is -1 with ENOENT. */
int files_open_video(const struct files *files, const char *slug, bool make, struct error *err);
int files_open_quality(const struct files *files, const char *slug, enum tailslate_quality quality,
                       bool make, struct error *err);
/* The directory that holds a file of this rendition (the video's for .ts and its playlist). */
int files_open_home(const struct files *files, const char *slug, enum tailslate_quality quality,
                    const char *filename, bool make, struct error *err);

/* Open below a directory, without links. -1 with errno. */
int files_open_beneath(int dir, const char *name, int flags);
/* A directory below a directory, as above. */
int files_open_dir(int dir, const char *name, bool make, struct error *err);
/* Calls each(name) for every entry, in no order, until one returns -1. */
typedef int files_entry(void *ctx, int dir, const char *name, struct error *err);
int files_for_each(int dir, files_entry *each, void *ctx, struct error *err);

/* Has videos_dir an entry of this name? */
bool files_video_exists(const struct files *files, const char *slug);
/* Move the whole directory of a video to the trash; not there: nothing. */
int files_discard_video(const struct files *files, const char *slug, struct error *err);
/* Move the files of these renditions to the trash. */
int files_discard(const struct files *files, const char *slug, tailslate_quality_set discarded,
                  struct error *err);

#endif
