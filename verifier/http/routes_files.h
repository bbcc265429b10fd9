/* routes_files: files in and out: the source, whole or a part of it; renditions, as segments with
 * their checksums or as archives. */
#ifndef VERIFIER_ROUTES_FILES_H
#define VERIFIER_ROUTES_FILES_H

#include "verifier/http/handler.h"

route_handler route_source;
route_handler route_segment_open, route_segment;
route_handler route_tar_open, route_quality_tar, route_finalize_tar;

#endif
