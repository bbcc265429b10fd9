/* encoder_probe: whether ffmpeg works, its version, and which encoders work (encoders.h), kept
 * current in the background.
 *
 * The version is read after the first heartbeat, and again every FFMPEG_VERSION_AGAIN_MS while
 * ffmpeg does not work: a library missing after an upgrade is noticed before it costs jobs their
 * attempts. While ffmpeg does not work nothing is claimed. Runs nothing if the recipe does not use
 * ffmpeg.
 *
 * Once the version is known, earlier results are used if they are
 * still valid. Otherwise a child of the same program (`tailslate-agent probe-encoders`) probes the
 * encoders and writes the results, at the transcoder's niceness. They are checked every
 * ENCODER_PROBE_CHECK_MS, which costs one stat: an upgraded ffmpeg or a device that was added or
 * removed is noticed. If no encoder makes the configured codec, nothing is claimed, and the probe
 * is repeated. Delays no heartbeat and no claim: a step without results probes the encoders that it
 * needs itself. */
#ifndef AGENT_ENCODER_PROBE_H
#define AGENT_ENCODER_PROBE_H

#include "agent/base/tool.h"
#include "agent/daemon/heartbeat.h"
#include "agent/daemon/node.h"
#include "agent/media/encoders.h"

enum { FFMPEG_VERSION_AGAIN_MS = 30 * 1000 };

struct ffmpeg_version {
    struct node *node;
    char *text; /* char[TOOL_VERSION_BYTES], borrowed: the version */
    struct tool_question question;
    int64_t due_ms, limit_ms;
    bool is_heard; /* the first heartbeat is done */
};

void ffmpeg_version_init(struct ffmpeg_version *version, struct node *node,
                         char text[TOOL_VERSION_BYTES]);
int64_t ffmpeg_version_tick(struct ffmpeg_version *version, bool is_heard, int64_t now_ms);
/* fd is readable. False: it is not ours. */
bool ffmpeg_version_handle(struct ffmpeg_version *version, int fd);
bool ffmpeg_version_handle_pid(struct ffmpeg_version *version,
                               pid_t pid); /* the same, by a child's PID */
void ffmpeg_version_cancel(struct ffmpeg_version *version);

enum {
    ENCODER_PROBE_CHECK_MS = 60 * 1000,
    ENCODER_PROBE_AGAIN_MS =
        5 * 60 * 1000, /* pause after a probe that found nothing usable or ran out of time */
    ENCODER_PROBE_LIMIT_MS = 180 * 1000, /* of the child; its own limits normally end it earlier */
};

struct encoder_probe {
    struct node *node;
    struct heartbeat *heartbeat; /* prints the results */
    struct encoders found;
    enum encoder_id chosen; /* as last logged */
    bool is_known;
    pid_t pid;
    int pidfd; /* -1: no child is running */
    int64_t due_ms, limit_ms;
};

void encoder_probe_init(struct encoder_probe *probe, struct node *node,
                        struct heartbeat *heartbeat);
int64_t encoder_probe_tick(struct encoder_probe *probe, int64_t now_ms);
/* The configuration has changed: applies the results to it at once; results that are no longer
 * valid (another ffmpeg) are made again. */
void encoder_probe_renew(struct encoder_probe *probe);
/* fd is readable. False: it is not ours. */
bool encoder_probe_handle(struct encoder_probe *probe, int fd);
bool encoder_probe_handle_pid(struct encoder_probe *probe, pid_t pid);
void encoder_probe_cancel(struct encoder_probe *probe);

/* The child: probes and writes the results. Exit status EX_UNAVAILABLE: ffmpeg does not work. */
int encoder_probe_main(const struct config *config);

#endif
