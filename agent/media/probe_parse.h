/* probe_parse: reads what ffprobe prints about a source. Pure. */
#ifndef AGENT_PROBE_PARSE_H
#define AGENT_PROBE_PARSE_H

#include "agent/media/probe.h"

enum probe_verdict {
    PROBE_VIDEO,
    PROBE_NO_VIDEO,   /* audio only, cover art only, nothing: see *err */
    PROBE_UNREADABLE, /* not ffprobe's output for a video */
};
/* video: the number of the stream to use; -1: the best one by its flags. */
enum probe_verdict probe_parse(const char *json, size_t size, int video, struct probe *probe,
                               struct error *err);

#endif
