/* files_check: is what players need of a rendition on disk? */
#ifndef VERIFIER_FILES_CHECK_H
#define VERIFIER_FILES_CHECK_H

#include "verifier/files/files.h"

/* Which of these renditions are not there, whole: *there* = `<q>/init.mp4` and `<q>/stream.m3u8`,
 * or
 * `<q>.m3u8`, and every segment that the playlist names, none of them empty. */
int files_missing(const struct files *files, const char *slug, tailslate_quality_set named,
                  tailslate_quality_set *missing, struct error *err);

/* Calls name(path, ctx) for each file of the rendition that is not there ("720p/seg_0001.m4s").
 * *cmaf: whether the rendition is CMAF. -1: whether all of it is there could not be found out. */
typedef void files_absent(const char *path, void *ctx);
int files_check_quality(int video_dir, enum tailslate_quality quality, files_absent *absent,
                        void *ctx, bool *cmaf, struct error *err);
/* Is video_dir/name a file that is not empty? */
bool files_is_there(int dir, const char *name);

#endif
