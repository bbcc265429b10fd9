/* pipeline_manifest: the manifests of a job's output, with the renditions that the server has from
 * an earlier job.
 *
 * The claim only gives the names of those, and no request returns a playlist or a codec. The server
 * is asked once which segments it has received for a quality: how many, and how many bytes. So its
 * real average rate is known, whether it is CMAF at all, and whether it has as many segments as the
 * new renditions (then it is cut at the same times: same video, same rule). Its size is what the
 * ladder would give it. If the server does not answer, the ladder's own figures are used. The codec
 * is never guessed. */
#ifndef AGENT_PIPELINE_MANIFEST_H
#define AGENT_PIPELINE_MANIFEST_H

#include "agent/api/session.h"
#include "agent/media/check.h"

#include "tailslate/quality.h"

struct pipeline_manifest {
    struct session *session;
    const struct probe *source;
    const struct check *check;      /* the new renditions */
    tailslate_quality_set existing; /* of an earlier job */
    int output;
    struct tailslate_warnings *warnings;
};

/* Writes master.m3u8 and manifest.mpd, unless they exist: a command's own manifests are kept. */
int pipeline_manifest_write(const struct pipeline_manifest *job, struct error *err);

struct remote_rendition {
    bool is_known; /* the server has answered */
    bool is_cmaf;  /* <quality>/init.mp4 and segments; otherwise <quality>.m3u8 beside it */
    size_t segments;
    int64_t bytes;
};

/* The answer of segments/status. */
void remote_rendition_parse(const char *body, size_t size, struct remote_rendition *existing);

#endif
