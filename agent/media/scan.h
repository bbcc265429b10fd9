/* scan: what the packets of a source say, read once from start to end without decoding.
 *
 * A container's stated duration is only a claim; an encode produces what the packets contain, on
 * ffmpeg's timeline, which removes clock jumps of a transport stream. So ffmpeg itself lists the
 * packets; the list is parsed as it arrives and not stored. Costs as much as reading the file. Also
 * counts the packets of each stream: it may have none. */
#ifndef AGENT_SCAN_H
#define AGENT_SCAN_H

#include "agent/media/probe.h"

enum {
    SCAN_LIMIT_MS = 3600 * 1000,
    SCAN_LINE_BYTES = 512, /* a longer source is read only up to this limit */
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
    bool is_partial;     /* the demuxer reported that the file ends before what it lists */
    char complaint[SCAN_LINE_BYTES]; /* its first error; "" = none */
};

struct session;
/* -1: it could not be run, or the claim is lost. ffmpeg's complaints are in *scan. */
int scan_source(struct session *session, const char *path, const struct probe *probe,
                struct scan *scan, struct error *err);

/* NULL: it has no packets. */
const struct scan_stream *scan_find(const struct scan *scan, int index);

/* The parts that run no program: parse a line of the list (ffmpeg's framecrc), and an error line.
 */
void scan_take_packet(struct scan *scan, const char *line);
void scan_take_error(struct scan *scan, const char *line);

#endif
