/* scan: what the packets of a source say, read once from end to end and not decoded.
 *
 * What a container's header says of its length is a claim; what an encode will make is the packets,
 * on the timeline of ffmpeg, which takes a jump of the clock in a transport stream out. So ffmpeg
 * itself copies them into a list, which is read as it comes and kept nowhere. Costs as much as
 * reading the file. Says also of each stream how many packets it has: a stream may have none. */
#ifndef AGENT_SCAN_H
#define AGENT_SCAN_H

#include "agent/media/probe.h"

enum {
    SCAN_LIMIT_MS = 3600 * 1000,
    SCAN_LINE_BYTES = 512, /* of a longer one the end is not read */
};

struct scan_stream {
    int index;
    int64_t packets, bytes;
    double start_s, end_s; /* from the beginning of the file */
};

struct scan {
    struct scan_stream streams[PROBE_STREAMS_MAX];
    double tick_s[PROBE_STREAMS_MAX];
    size_t count;
    int64_t bytes;       /* of all packets */
    bool has_ended_well; /* exit status 0 */
    bool is_partial;     /* the demuxer has said that the file ends before what it lists */
    char complaint[SCAN_LINE_BYTES]; /* its first error; "" none */
};

struct session;
/* -1: it could not be run, or the claim is lost. What ffmpeg did not like is in *scan. */
int scan_source(struct session *session, const char *path, const struct probe *probe,
                struct scan *scan, struct error *err);

/* NULL: it has no packets. */
const struct scan_stream *scan_find(const struct scan *scan, int index);

/* The parts that run no program: a line of the list (ffmpeg's framecrc) and one of the errors. */
void scan_take_packet(struct scan *scan, const char *line);
void scan_take_error(struct scan *scan, const char *line);

#endif
