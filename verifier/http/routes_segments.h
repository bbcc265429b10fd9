/* routes_segments: what of a rendition has arrived: for a worker that resumes, and when it reports
 * that all is there. */
#ifndef VERIFIER_ROUTES_SEGMENTS_H
#define VERIFIER_ROUTES_SEGMENTS_H

#include "verifier/http/handler.h"

route_handler route_segments_status, route_segment_finalize;

#endif
